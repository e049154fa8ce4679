#ifndef CAFFE_LAYERS_SIGMOID_CROSS_ENTROPY_FUNCTOR_HPP_
#define CAFFE_LAYERS_SIGMOID_CROSS_ENTROPY_FUNCTOR_HPP_

#include <cmath>

#include "caffe/common.hpp"

namespace caffe {

/// Cross entropy of sigmoid(x) with a target, for CPU and GPU alike.
template <typename Dtype>
struct SigmoidCrossEntropy {
  bool has_ignore_label;
  int ignore_label;

  CAFFE_HOST_DEVICE bool IsIgnored(Dtype target) const {
    return has_ignore_label && std::trunc(target) == ignore_label;
  }
  /// With z = |x|, -log sigmoid(x) = max(-x, 0) + log(1 + exp(-z)), which neither
  /// overflows nor cancels.
  CAFFE_HOST_DEVICE double Loss(double x, Dtype target) const {
    if (IsIgnored(target)) return 0.0;
    return std::fmax(x, 0.0) - x * target + std::log1p(std::exp(-std::fabs(x)));
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype target, Dtype scale) const {
    const Dtype sigmoid = Dtype(0.5) * std::tanh(Dtype(0.5) * x) + Dtype(0.5);
    return IsIgnored(target) ? Dtype(0) : scale * (sigmoid - target);
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_SIGMOID_CROSS_ENTROPY_FUNCTOR_HPP_
