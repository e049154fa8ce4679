#ifndef CAFFE_LOG_LAYER_HPP_
#define CAFFE_LOG_LAYER_HPP_

#include <cmath>

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
struct LogFunctor {
  void Read(const LayerParameter& param);
  GradientSource Source() const { return GradientSource::kInput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    return factor * std::log(shift + scale * x);
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    return dy * factor * scale / (shift + scale * x);
  }
  Dtype factor = 1;  ///< 1 / ln(base)
  Dtype scale = 1;
  Dtype shift = 0;
};

/// y = log_base(shift + scale * x); by default base e (written -1), scale 1, shift 0.
///
/// dx = scale / (ln(base) * (shift + scale * x)) dy. The base must be -1, or above 0
/// and not 1. An argument of 0 gives an infinity, a negative one NaN.
/// In place works: the input is kept for Backward.
template <typename Dtype>
class LogLayer : public ElementwiseLayer<Dtype, LogFunctor, LogLayer> {
 public:
  explicit LogLayer(const LayerParameter& param)
      : ElementwiseLayer<Dtype, LogFunctor, LogLayer>(param) {}
  virtual inline const char* type() const { return "Log"; }
};

}  // namespace caffe

#endif  // CAFFE_LOG_LAYER_HPP_
