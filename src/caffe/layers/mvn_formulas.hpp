#ifndef CAFFE_LAYERS_MVN_FORMULAS_HPP_
#define CAFFE_LAYERS_MVN_FORMULAS_HPP_

#include <cmath>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What MVN multiplies by, for CPU and GPU alike.
template <typename Dtype>
struct MVNFormulas {
  explicit MVNFormulas(const MVNParameter& param)
      : divides(param.normalize_variance()), eps(param.eps()) {}

  bool divides;  ///< by the deviation
  Dtype eps;

  /// 1 / (deviation + eps).
  CAFFE_HOST_DEVICE Dtype Factor(Dtype variance) const {
    if (!divides) return 1;
    const Dtype divisor = std::sqrt(variance) + eps;
    return divisor == 0 ? Dtype(0) : 1 / divisor;  // then all values are the mean
  }
  /// (deviation + eps) / deviation: what an output's share in the deviation counts for.
  CAFFE_HOST_DEVICE Dtype Stretch(Dtype variance) const {
    const Dtype deviation = std::sqrt(variance);
    return deviation == 0 ? Dtype(0) : (deviation + eps) / deviation;
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_MVN_FORMULAS_HPP_
