#ifndef CAFFE_LAYERS_STRIDED_VIEW_CUH_
#define CAFFE_LAYERS_STRIDED_VIEW_CUH_

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/layers/strided_view.hpp"

namespace caffe {

/// Where element i of a view lies in the array.
class StridedIndex {
 public:
  explicit StridedIndex(const StridedView& view)
      : axes_(view.axes), offset_(view.offset) {
    for (int axis = 0; axis < axes_; ++axis) {
      extents_[axis] = Divisor(view.extents[axis]);
      strides_[axis] = view.strides[axis];
    }
  }
  CAFFE_HOST_DEVICE int operator()(int i) const {
    int index = offset_;
    for (int axis = axes_ - 1; axis >= 0; --axis) {
      int at;
      i = extents_[axis].Quotient(i, &at);
      index += at * strides_[axis];
    }
    return index;
  }

 private:
  int axes_, offset_;
  Divisor extents_[kMaxBlobAxes];
  int strides_[kMaxBlobAxes];
};

/// Gather and Scatter on a GPU.
template <typename T>
void DeviceGather(const StridedView& view, const T* from, T* to) {
  const StridedIndex index(view);
  Map(view.count, to, [=] __device__(int i) { return from[index(i)]; });
}

template <typename T>
void DeviceScatter(const StridedView& view, const T* from, T* to) {
  const StridedIndex index(view);
  ForEach(view.count, [=] __device__(int i) { to[index(i)] = from[i]; });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_STRIDED_VIEW_CUH_
