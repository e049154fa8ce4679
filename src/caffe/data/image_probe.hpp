#ifndef CAFFE_DATA_IMAGE_PROBE_HPP_
#define CAFFE_DATA_IMAGE_PROBE_HPP_

#include <cstdint>
#include <string>
#include <string_view>

namespace caffe {

/// What the structure of an image file says before any pixel is decoded.
struct ImageProbe {
  /// "JPEG" or "PNG"; "TIFF", "PFM" or "HDR", which are not looked into; "" for others.
  const char* format = "";
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  int channels = 0;  ///< of a JPEG once decoded; 0 for other formats
  /// One sentence on what is wrong; empty if nothing is.
  std::string problem;
};

/// Walks over the segments of a JPEG or the chunks of a PNG, up to its end mark.
///
/// Why: a decoder makes up what a file ends before, and takes a JPEG without one of its
/// colours; and a few bytes may announce an image of gigabytes. Not found here: damage
/// inside compressed data. Junk between JPEG segments and behind the end is allowed, as
/// libjpeg allows it; the ImageNet training set has both.
ImageProbe ProbeImage(std::string_view bytes);

}  // namespace caffe

#endif  // CAFFE_DATA_IMAGE_PROBE_HPP_
