#ifndef CAFFE_LAYERS_BATCH_NORM_FORMULAS_HPP_
#define CAFFE_LAYERS_BATCH_NORM_FORMULAS_HPP_

#include <cmath>

#include "caffe/common.hpp"

namespace caffe {

// What BatchNorm computes per channel, for CPU and GPU alike.

/// The mean and biased variance that a Forward uses.
struct ChannelStatistics {
  double mean, variance;

  /// From accumulated sums and their factor; before any training that is 0, and so are
  /// the statistics.
  template <typename T>
  CAFFE_HOST_DEVICE static ChannelStatistics OfSums(T mean_sum, T variance_sum,
                                                    T factor) {
    const double unit = factor == 0 ? 0 : 1 / static_cast<double>(factor);
    return {mean_sum * unit, variance_sum * unit};
  }

  CAFFE_HOST_DEVICE double InverseStd(double eps) const {
    return 1 / std::sqrt(variance + eps);
  }

  /// Enters these, over `count` values, into the accumulated sums.
  template <typename T>
  CAFFE_HOST_DEVICE void AddTo(double count, T fraction, T* mean_sum,
                               T* variance_sum) const {
    const double unbias = count > 1 ? count / (count - 1) : 1;
    *mean_sum = static_cast<T>(mean + fraction * *mean_sum);
    *variance_sum = static_cast<T>(unbias * variance + fraction * *variance_sum);
  }
};

/// y = multiplier x + shift
template <typename T>
struct ChannelMap {
  T multiplier, shift;

  CAFFE_HOST_DEVICE ChannelMap(double mean, double inverse_std)
      : multiplier(static_cast<T>(inverse_std)),
        shift(static_cast<T>(-mean * inverse_std)) {}
};

/// dx = on_dy dy + on_x x + constant
template <typename T>
struct ChannelGradient {
  T on_dy, on_x, constant;

  /// Of statistics that do not depend on x.
  CAFFE_HOST_DEVICE explicit ChannelGradient(double inverse_std)
      : on_dy(static_cast<T>(inverse_std)), on_x(0), constant(0) {}

  /// Of the batch's own, with the sums of dy and of dy x^ over `count` values, where
  /// x^ = (x - centre) inverse.
  CAFFE_HOST_DEVICE ChannelGradient(double inverse_std, double sum_dy, double sum_dy_x,
                                    double count, T centre, T inverse)
      : ChannelGradient(inverse_std) {
    const double slope = inverse_std * sum_dy_x / count * inverse;
    on_x = static_cast<T>(-slope);
    constant = static_cast<T>(slope * centre - inverse_std * sum_dy / count);
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_BATCH_NORM_FORMULAS_HPP_
