#ifndef CAFFE_OPS_BATCH_NORM_HPP_
#define CAFFE_OPS_BATCH_NORM_HPP_

#include <vector>

#include "caffe/ops/batch_norm_arithmetic.hpp"
#include "caffe/ops/tensor.hpp"

namespace caffe {

// Batch normalisation over all axes but the channels, in whichever layout the input
// has. Each function makes one pass over memory; everything per channel is done by
// the layer in between, in double.

/// Mean and biased variance of every channel.
template <typename T>
void BatchNormStatistics(Tensor<T> src, std::vector<double>* mean,
                         std::vector<double>* variance);

/// dst = multiplier * src + shift per channel, then max(0, .) if `relu`. In place if
/// dst is src.
template <typename T>
void BatchNormApply(Tensor<T> src, const std::vector<T>& multiplier,
                    const std::vector<T>& shift, bool relu, Tensor<T> dst);

/// sum_dy = Σ dy and sum_dy_x = Σ dy x^ per channel; with a mask, dy counts only
/// where the ReLU is active.
template <typename T>
void BatchNormBackwardSums(Tensor<T> x, Tensor<T> diff_dst,
                           const Normalization<T>& normalization, const ReluMask<T>* mask,
                           std::vector<double>* sum_dy, std::vector<double>* sum_dy_x);

/// diff_src = on_dy * dy + on_x * x + constant per channel.
template <typename T>
void BatchNormBackwardData(Tensor<T> x, Tensor<T> diff_dst, const std::vector<T>& on_dy,
                           const std::vector<T>& on_x, const std::vector<T>& constant,
                           const ReluMask<T>* mask, Tensor<T> diff_src);

}  // namespace caffe

#endif  // CAFFE_OPS_BATCH_NORM_HPP_
