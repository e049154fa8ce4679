#ifndef CAFFE_TANH_LAYER_HPP_
#define CAFFE_TANH_LAYER_HPP_

#include <cmath>

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
struct TanHFunctor {
  void Read(const LayerParameter& /*param*/) {}
  GradientSource Source() const { return GradientSource::kOutput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const { return std::tanh(x); }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype /*x*/, Dtype y, Dtype dy) const {
    return dy * (1 - y * y);
  }
};

/// y = tanh(x).
///
/// dx = (1 - y^2) dy. In place works.
template <typename Dtype>
class TanHLayer : public ElementwiseLayer<Dtype, TanHFunctor, TanHLayer> {
 public:
  explicit TanHLayer(const LayerParameter& param)
      : ElementwiseLayer<Dtype, TanHFunctor, TanHLayer>(param) {}
  virtual inline const char* type() const { return "TanH"; }
};

}  // namespace caffe

#endif  // CAFFE_TANH_LAYER_HPP_
