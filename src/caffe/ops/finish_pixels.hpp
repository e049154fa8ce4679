#ifndef CAFFE_OPS_FINISH_PIXELS_HPP_
#define CAFFE_OPS_FINISH_PIXELS_HPP_

#include "caffe/util/host_device.hpp"

namespace caffe {

/// Where the pixels of one output image lie in the image that they were taken from, whose
/// size is that of a mean image: pixel (h, w) at (row + h, column + step · w).
struct PixelPlace {
  int row, column, step;
};

/// What remains to be done to pixels of 8 bits of shape (N, C, H, W): (pixel - mean) ·
/// scale, as DataTransformer does it, to the bit.
template <typename T>
struct PixelFinish {
  const unsigned char* pixels;
  /// One for each image. Not read with a mean for each channel.
  const PixelPlace* places;
  /// A mean image of C channels, or with `mean_height` 0 a value for each channel.
  const T* means;
  int channels, height, width, mean_height, mean_width;
  T scale;

  CAFFE_HOST_DEVICE T operator()(int i) const {
    const int row = i / width, plane = row / height;
    const int c = plane % channels;
    int mean = c;
    if (mean_height > 0) {
      const PixelPlace& place = places[plane / channels];
      mean = (c * mean_height + place.row + row % height) * mean_width + place.column +
             place.step * (i % width);
    }
    return (static_cast<T>(pixels[i]) - means[mean]) * scale;
  }
};

/// Writes `count` values to `out`; all arrays are in device memory.
template <typename T>
void FinishPixelsOnDevice(int count, const PixelFinish<T>& finish, T* out);

}  // namespace caffe

#endif  // CAFFE_OPS_FINISH_PIXELS_HPP_
