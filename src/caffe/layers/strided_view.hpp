#ifndef CAFFE_LAYERS_STRIDED_VIEW_HPP_
#define CAFFE_LAYERS_STRIDED_VIEW_HPP_

#include <cstdint>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/util/parallel_tasks.hpp"

namespace caffe {

/// The elements of an array in another order: in row-major order over `extents`, element
/// (i0, i1, ...) is the array's offset + i0 strides[0] + i1 strides[1] + ...
/// Every element occurs once, so that there is a way back.
struct StridedView {
  int axes = 0, count = 1, offset = 0;
  int extents[kMaxBlobAxes], strides[kMaxBlobAxes];

  /// Adds an axis inside those that are there. Neighbours that are one run of the array
  /// become one axis.
  void AddAxis(int extent, int stride) {
    count *= extent;
    if (extent == 1) return;
    if (axes > 0 && strides[axes - 1] == stride * extent) {
      extents[axes - 1] *= extent;
      strides[axes - 1] = stride;
      return;
    }
    extents[axes] = extent;
    strides[axes++] = stride;
  }
};

/// Calls visit(i, j, length, stride) for runs of elements i, i + 1, ... of the view,
/// which are j, j + stride, ... of the array; in parallel.
template <typename Visit>
void ForEachRun(const StridedView& view, const Visit& visit) {
  if (view.count == 0) return;
  const int length = view.axes > 0 ? view.extents[view.axes - 1] : 1;
  const int stride = view.axes > 0 ? view.strides[view.axes - 1] : 1;
  ParallelTasks(view.count / length, view.count, [&](std::int64_t run) {
    std::int64_t rest = run, from = view.offset;
    for (int axis = view.axes - 2; axis >= 0; --axis) {
      from += rest % view.extents[axis] * view.strides[axis];
      rest /= view.extents[axis];
    }
    visit(run * length, from, length, stride);
  });
}

/// to[i] = element i of the view of `from`.
template <typename T>
void Gather(const StridedView& view, const T* from, T* to) {
  ForEachRun(view, [=](std::int64_t i, std::int64_t j, int length, std::int64_t stride) {
    for (int k = 0; k < length; ++k) to[i + k] = from[j + k * stride];
  });
}

/// The inverse: element i of the view of `to` becomes from[i].
template <typename T>
void Scatter(const StridedView& view, const T* from, T* to) {
  ForEachRun(view, [=](std::int64_t i, std::int64_t j, int length, std::int64_t stride) {
    for (int k = 0; k < length; ++k) to[j + k * stride] = from[i + k];
  });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_STRIDED_VIEW_HPP_
