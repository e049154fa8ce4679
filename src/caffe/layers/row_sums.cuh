#ifndef CAFFE_LAYERS_ROW_SUMS_CUH_
#define CAFFE_LAYERS_ROW_SUMS_CUH_

#include <vector>

#include "caffe/gpu/buffer.hpp"
#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/layers/row_indices.hpp"

namespace caffe {

/// sums[k, :] += the sum of rows[r, :] over the rows r with index k, in their order.
template <typename T>
void AddRowsByIndex(const RowsByIndex& groups, int length, const T* rows, T* sums) {
  const int count = static_cast<int>(groups.index.size());
  if (count == 0) return;
  std::vector<int> lists(groups.index);
  lists.insert(lists.end(), groups.begin.begin(), groups.begin.end());
  lists.insert(lists.end(), groups.rows.begin(), groups.rows.end());
  const DeviceBuffer<int> on_device(lists.size());
  device::Copy(on_device.get(), lists.data(), lists.size() * sizeof(int));
  const int* index = on_device.get();
  const int* begin = index + count;
  const int* members = begin + count + 1;
  const Divisor by_length(length);
  ForEach(count * length, [=] __device__(int i) {
    int at;
    const int group = by_length.Quotient(i, &at);
    T sum = 0;
    for (int r = begin[group]; r < begin[group + 1]; ++r) {
      sum += rows[members[r] * by_length.divisor() + at];
    }
    sums[index[group] * by_length.divisor() + at] += sum;
  });
}

/// picked[r, :] = from[index[r], :].
template <typename T>
void PickRows(int rows, int length, const int* index, const T* from, T* picked) {
  const Divisor by_length(length);
  Map(rows * length, picked, [=] __device__(int i) {
    int at;
    const int row = by_length.Quotient(i, &at);
    return from[index[row] * by_length.divisor() + at];
  });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_ROW_SUMS_CUH_
