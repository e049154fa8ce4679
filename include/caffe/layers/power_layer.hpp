#ifndef CAFFE_POWER_LAYER_HPP_
#define CAFFE_POWER_LAYER_HPP_

#include <cmath>

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
struct PowerFunctor {
  void Read(const LayerParameter& param) {
    power = param.power_param().power();
    scale = param.power_param().scale();
    shift = param.power_param().shift();
  }
  GradientSource Source() const {
    const bool constant_slope = power == 1 || power * scale == 0;
    return constant_slope ? GradientSource::kOutput : GradientSource::kInput;
  }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    const Dtype base = shift + scale * x;
    return power == 1 ? base : power == 2 ? base * base : std::pow(base, power);
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    const Dtype factor = power * scale;
    if (factor == 0) return 0;  // not 0 * inf at a base of 0
    if (power == 1) return factor * dy;
    const Dtype base = shift + scale * x;
    return factor * dy * (power == 2 ? base : std::pow(base, power - 1));
  }
  Dtype power = 1;
  Dtype scale = 1;
  Dtype shift = 0;
};

/// y = (shift + scale * x)^power; by default power 1, scale 1, shift 0.
///
/// dx = power * scale * (shift + scale * x)^(power - 1) dy, and 0 when power * scale
/// is 0. A negative base gives NaN unless power is a whole number.
/// In place works: the input is kept for Backward unless power is 0 or 1.
template <typename Dtype>
class PowerLayer : public ElementwiseLayer<Dtype, PowerFunctor, PowerLayer> {
 public:
  explicit PowerLayer(const LayerParameter& param)
      : ElementwiseLayer<Dtype, PowerFunctor, PowerLayer>(param) {}
  virtual inline const char* type() const { return "Power"; }
};

}  // namespace caffe

#endif  // CAFFE_POWER_LAYER_HPP_
