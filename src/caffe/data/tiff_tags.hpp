#ifndef CAFFE_DATA_TIFF_TAGS_HPP_
#define CAFFE_DATA_TIFF_TAGS_HPP_

#include <string>
#include <string_view>

namespace caffe {

/// Whether the bytes begin like a TIFF or a BigTIFF.
bool IsTiff(std::string_view bytes);

/// The TIFF with the tags changed that would make libtiff alter pixels: an orientation
/// becomes the normal one, and alpha counts as multiplied already. Elsewhere OpenCV can
/// be told to ignore the orientation, and alpha leaves the colours alone.
std::string WithoutPixelTags(std::string tiff);

}  // namespace caffe

#endif  // CAFFE_DATA_TIFF_TAGS_HPP_
