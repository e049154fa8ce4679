#ifndef CAFFE_GPU_IMAGE_ORDER_CUH_
#define CAFFE_GPU_IMAGE_ORDER_CUH_

#include "caffe/gpu/tensor.hpp"

namespace caffe {

struct ImagePlace {
  int n, c, h, w;
};

/// Where the elements of an (N, C, H, W) array lie in one of the layouts, for kernels
/// that are compiled for both.
template <DeviceLayout kLayout>
struct ImageOrder {
  static constexpr bool kPlain = kLayout == DeviceLayout::kPlain;

  explicit ImageOrder(const std::vector<int>& shape)
      : channels(shape[1]), height(shape[2]), width(shape[3]) {}

  /// Element i of the array.
  __device__ ImagePlace At(int i) const {
    ImagePlace at;
    if (!kPlain) at.c = i % channels, i /= channels;
    at.w = i % width, i /= width;
    at.h = i % height, i /= height;
    if (kPlain) at.c = i % channels, i /= channels;
    at.n = i;
    return at;
  }
  __device__ int Index(int n, int c, int h, int w) const {
    return kPlain ? ((n * channels + c) * height + h) * width + w
                  : ((n * height + h) * width + w) * channels + c;
  }
  /// From one element to the next along an axis.
  __device__ int ChannelStep() const { return kPlain ? height * width : 1; }
  __device__ int RowStep() const { return kPlain ? width : width * channels; }
  __device__ int ColumnStep() const { return kPlain ? 1 : channels; }

  int channels, height, width;
};

/// Calls start with the ImageOrder of `layout` for each of the shapes.
template <typename Start, typename... Shapes>
void WithOrders(DeviceLayout layout, Start start, const Shapes&... shapes) {
  if (layout == DeviceLayout::kPlain) {
    start(ImageOrder<DeviceLayout::kPlain>(shapes)...);
  } else {
    start(ImageOrder<DeviceLayout::kChannelsLast>(shapes)...);
  }
}

}  // namespace caffe

#endif  // CAFFE_GPU_IMAGE_ORDER_CUH_
