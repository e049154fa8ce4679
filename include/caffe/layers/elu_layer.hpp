#ifndef CAFFE_ELU_LAYER_HPP_
#define CAFFE_ELU_LAYER_HPP_

#include <cmath>

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
struct ELUFunctor {
  void Read(const LayerParameter& param) { alpha = param.elu_param().alpha(); }
  // With a negative alpha the output is positive on both sides of 0; otherwise its
  // sign is that of the input, and x is y.
  GradientSource Source() const {
    return alpha < 0 ? GradientSource::kInput : GradientSource::kOutput;
  }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    // The call is not in a branch, so that loops over it can be vectorised.
    const Dtype negative = alpha * std::expm1(x > 0 ? Dtype(0) : x);
    return x > 0 ? x : negative;
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype y, Dtype dy) const {
    return dy * (x > 0 ? Dtype(1) : y + alpha);
  }
  Dtype alpha = 1;
};

/// y = x where x > 0, alpha * (exp(x) - 1) elsewhere; alpha is 1 by default.
///
/// dx = dy where x > 0, (y + alpha) * dy elsewhere. In place works.
/// Source: Clevert et al., ICLR 2016.
template <typename Dtype>
class ELULayer : public ElementwiseLayer<Dtype, ELUFunctor, ELULayer> {
 public:
  explicit ELULayer(const LayerParameter& param)
      : ElementwiseLayer<Dtype, ELUFunctor, ELULayer>(param) {}
  virtual inline const char* type() const { return "ELU"; }
};

}  // namespace caffe

#endif  // CAFFE_ELU_LAYER_HPP_
