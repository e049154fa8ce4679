#ifndef CAFFE_RELU_LAYER_HPP_
#define CAFFE_RELU_LAYER_HPP_

#include <cmath>

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
struct ReLUFunctor {
  void Read(const LayerParameter& param) { slope = param.relu_param().negative_slope(); }
  GradientSource Source() const {
    return slope < 0 ? GradientSource::kInput : GradientSource::kSign;
  }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    return (x > 0 ? x : Dtype(0)) + slope * (x > 0 ? Dtype(0) : x);
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    return dy * (x > 0 ? Dtype(1) : slope);
  }
  Dtype slope = 0;
};

/// y = max(x, 0) + negative_slope * min(x, 0); negative_slope is 0 by default.
///
/// dx = dy where x > 0, negative_slope * dy elsewhere (also at 0). NaN stays NaN.
/// In place, Backward goes by the sign of the output, as Caffe does; with a negative
/// slope that says nothing about the input's sign, so the input is kept.
/// Source: Nair and Hinton, ICML 2010; Maas et al., ICML 2013 (leaky).
template <typename Dtype>
class ReLULayer : public ElementwiseLayer<Dtype, ReLUFunctor, ReLULayer> {
 public:
  explicit ReLULayer(const LayerParameter& param)
      : ElementwiseLayer<Dtype, ReLUFunctor, ReLULayer>(param) {}
  virtual inline const char* type() const { return "ReLU"; }
  LayerTraits Traits() const override;
};

}  // namespace caffe

#endif  // CAFFE_RELU_LAYER_HPP_
