#ifndef CAFFE_LAYERS_SMOOTH_L1_FUNCTOR_HPP_
#define CAFFE_LAYERS_SMOOTH_L1_FUNCTOR_HPP_

#include <cmath>
#include <cstdint>

#include "caffe/common.hpp"

namespace caffe {

/// f(d) = (sigma d)^2 / 2 where |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2), of
/// d = inside (a - b), times `outside`; for CPU and GPU alike. A weight that is not given
/// is 1.
template <typename Dtype>
struct SmoothL1Functor {
  double square;  ///< sigma^2
  const Dtype *a, *b, *inside, *outside;

  CAFFE_HOST_DEVICE double Inside(std::int64_t i) const {
    return inside ? double{inside[i]} : 1;
  }
  CAFFE_HOST_DEVICE double Outside(std::int64_t i) const {
    return outside ? double{outside[i]} : 1;
  }
  CAFFE_HOST_DEVICE double Difference(std::int64_t i) const {
    return Inside(i) * (static_cast<double>(a[i]) - b[i]);
  }
  CAFFE_HOST_DEVICE double Value(std::int64_t i) const {
    const double d = std::fabs(Difference(i));
    return Outside(i) * (d < 1 / square ? square * d * d / 2 : d - 0.5 / square);
  }
  /// By a; that by b is its negative.
  CAFFE_HOST_DEVICE double Gradient(std::int64_t i) const {
    const double d = Difference(i);
    const double slope = std::fabs(d) < 1 / square ? square * d : (0 < d) - (d < 0);
    return Outside(i) * Inside(i) * slope;
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_SMOOTH_L1_FUNCTOR_HPP_
