#ifndef CAFFE_OPS_BRANCHES_HPP_
#define CAFFE_OPS_BRANCHES_HPP_

#include <vector>

#include "caffe/ops/tensor.hpp"

namespace caffe {

// The two passes of a Selective Kernel unit over its branches, each (N, C, H, W).

/// mean[n, c] = average over H and W of the sum of all branches; the sum itself is not
/// stored. `mean` has N·C elements and is plain.
template <typename T>
void AverageOfSum(const std::vector<Tensor<T>>& branches, T* mean);

/// dst = a[n, c] · x + b[n, c] · y; a and b are plain with N·C elements. dst may be left
/// in bfloat16 if so are x and y (channels_last.hpp).
template <typename T>
void WeightedSum(const T* a, Tensor<T> x, const T* b, Tensor<T> y, Tensor<T> dst,
                 bool leaves_bfloat16 = false);

/// The branches that one kernel is given.
constexpr int kMostDeviceBranches = 8;

/// Both on the GPU, where blobs may have their channels last.
template <typename T>
void AverageOfSumOnDevice(const std::vector<Blob<T>*>& branches, Blob<T>* mean);
template <typename T>
void WeightedSumOnDevice(const Blob<T>& a, const Blob<T>& x, const Blob<T>& b,
                         const Blob<T>& y, Blob<T>* dst);

#define INSTANTIATE_DEVICE_BRANCHES(T)                                              \
  template void AverageOfSumOnDevice(const std::vector<Blob<T>*>&, Blob<T>*);       \
  template void WeightedSumOnDevice(const Blob<T>&, const Blob<T>&, const Blob<T>&, \
                                    const Blob<T>&, Blob<T>*)

}  // namespace caffe

#endif  // CAFFE_OPS_BRANCHES_HPP_
