#ifndef CAFFE_OPS_POOLING_HPP_
#define CAFFE_OPS_POOLING_HPP_

#include <vector>

#include "caffe/ops/tensor.hpp"

namespace caffe {

/// A 2-d pooling window over (N, C, H, W), as the layer has worked it out.
struct PoolingProblem {
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

/// Largest value of each window (taps outside the image do not count). `mask`, if
/// given, receives its index h·W + w, in the layout of dst.
template <typename T>
void MaxPool(const PoolingProblem& problem, Tensor<T> src, Tensor<T> dst,
             std::vector<int>* mask);
/// diff_src = Σ over the windows whose largest value this is; `mask` is in layout
/// `mask_block`.
template <typename T>
void MaxPoolBackward(const PoolingProblem& problem, Tensor<T> diff_dst,
                     const std::vector<int>& mask, int mask_block, Tensor<T> diff_src);

/// Mean of each window. Padding counts, but not what overhangs it: the divisor is
/// the area of the window clipped to H + pad, W + pad.
template <typename T>
void AveragePool(const PoolingProblem& problem, Tensor<T> src, Tensor<T> dst);
template <typename T>
void AveragePoolBackward(const PoolingProblem& problem, Tensor<T> diff_dst,
                         Tensor<T> diff_src);

}  // namespace caffe

#endif  // CAFFE_OPS_POOLING_HPP_
