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
  /// sigmoid(x) - target, of terms that do not cancel where the target is 0 or 1.
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype target, Dtype scale) const {
    const Dtype e = std::exp(-std::fabs(x));
    const Dtype larger = 1 / (1 + e), smaller = e * larger;
    const Dtype difference =
        (1 - target) * (x < 0 ? smaller : larger) - target * (x < 0 ? larger : smaller);
    return IsIgnored(target) ? Dtype(0) : scale * difference;
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_SIGMOID_CROSS_ENTROPY_FUNCTOR_HPP_
