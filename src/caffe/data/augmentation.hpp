#ifndef CAFFE_DATA_AUGMENTATION_HPP_
#define CAFFE_DATA_AUGMENTATION_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

// The geometry behind TransformationParameter's resizing, crops and rotation, and the
// sampling of images by it. caffe.proto states the laws; here they are computed.

/// Random numbers of one image, in the order in which they are asked for.
struct RandomDraws {
  std::function<int(int)> below;    ///< uniform in {0, …, n - 1}
  std::function<double()> uniform;  ///< uniform in [0, 1)
};

/// A rectangle of whole pixels.
struct CropBox {
  int top = 0, left = 0, height = 0, width = 0;
};

/// Throws ValueError if the fields of the augmentation are out of their ranges or
/// contradict each other.
void CheckAugmentation(const TransformationParameter& param);

/// Crops that DrawCrop tries before it takes the largest one.
inline constexpr int kCropTries = 10;
/// Channels that an image may have for max_jitter, which draws a number for each.
inline constexpr int kMaxJitteredChannels = 32;
/// Numbers that one image draws at most: mirror, area and aspect of every try, row and
/// column, angle, jitter.
inline constexpr int kMaxDraws = 1 + 2 * kCropTries + 2 + 1 + kMaxJitteredChannels;

/// Draws area and aspect, up to kCropTries times, then row and column.
CropBox DrawCrop(const RandomResizedCrop& range, int height, int width,
                 const RandomDraws& draws);

/// The size of an image whose shorter side becomes `side`; the longer one is rounded to
/// the nearest pixel. Throws ValueError if it gets too long for an int.
CropBox ResizedToShort(int side, int height, int width);

/// An image in memory, whatever its layout; steps are in elements between neighbours.
template <typename Pixel>
struct ImageView {
  const Pixel* data;
  int channels, height, width;
  std::ptrdiff_t channel_step, row_step, pixel_step;
};

/// Places along one axis: output u lies at start + step · u, and what falls outside of
/// the pixels first … last takes the value of the nearest of them.
struct Axis {
  double start = 0, step = 1;
  int first = 0, last = 0;

  /// `out` pixels over the pixels offset … offset + in - 1 of an axis, centre to centre
  /// at half pixels: start = offset + step / 2 - 1/2 with step = in / out.
  static Axis Over(int offset, int in, int out);
  /// Every pixel from `offset` on, of an axis of `size` pixels.
  static Axis Shifted(int offset, int size);
  bool IsShift() const;
};

/// From output pixels to places in an image: rotated back, mirrored back, then placed
/// on either axis.
struct Warp {
  int height = 0, width = 0;  ///< of the output
  Axis rows, columns;
  bool mirror = false;
  double degrees = 0;  ///< counter-clockwise about the centre of the output

  /// Whether every output pixel is one of the image's.
  bool IsCopy() const { return degrees == 0 && rows.IsShift() && columns.IsShift(); }
};

/// out[c, y, x] = the image at the place of (y, x), bilinear; fill[c] where the rotated
/// image does not reach: where the place, before it is put on the axes, is outside of
/// [-1/2, width - 1/2] x [-1/2, height - 1/2]. `out` is plain, channels x height x width.
template <typename Pixel, typename Dtype>
void Sample(const ImageView<Pixel>& image, const Warp& warp,
            const std::vector<Dtype>& fill, Dtype* out);

}  // namespace caffe

#endif  // CAFFE_DATA_AUGMENTATION_HPP_
