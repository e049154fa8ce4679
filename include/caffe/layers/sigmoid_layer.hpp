#ifndef CAFFE_SIGMOID_LAYER_HPP_
#define CAFFE_SIGMOID_LAYER_HPP_

#include <cmath>

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
struct SigmoidFunctor {
  void Read(const LayerParameter& /*param*/) {}
  GradientSource Source() const { return GradientSource::kOutput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    return Dtype(0.5) * std::tanh(Dtype(0.5) * x) + Dtype(0.5);
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype /*x*/, Dtype y, Dtype dy) const {
    return dy * y * (1 - y);
  }
};

/// y = 1 / (1 + exp(-x)), computed as (1 + tanh(x / 2)) / 2, which cannot overflow.
///
/// dx = y (1 - y) dy. In place works.
template <typename Dtype>
class SigmoidLayer : public ElementwiseLayer<Dtype, SigmoidFunctor, SigmoidLayer> {
 public:
  explicit SigmoidLayer(const LayerParameter& param)
      : ElementwiseLayer<Dtype, SigmoidFunctor, SigmoidLayer>(param) {}
  virtual inline const char* type() const { return "Sigmoid"; }
};

}  // namespace caffe

#endif  // CAFFE_SIGMOID_LAYER_HPP_
