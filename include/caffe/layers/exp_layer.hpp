#ifndef CAFFE_EXP_LAYER_HPP_
#define CAFFE_EXP_LAYER_HPP_

#include <cmath>

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
struct ExpFunctor {
  void Read(const LayerParameter& param);
  GradientSource Source() const { return GradientSource::kOutput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const { return std::exp(shift + scale * x); }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype /*x*/, Dtype y, Dtype dy) const {
    return dy * y * scale;
  }
  Dtype scale = 1;  ///< of x in the exponent of e
  Dtype shift = 0;
};

/// y = base^(shift + scale * x); by default base e (written -1), scale 1, shift 0.
///
/// dx = y * scale * ln(base) dy. The base must be -1 or above 0. In place works.
template <typename Dtype>
class ExpLayer : public ElementwiseLayer<Dtype, ExpFunctor, ExpLayer> {
 public:
  explicit ExpLayer(const LayerParameter& param)
      : ElementwiseLayer<Dtype, ExpFunctor, ExpLayer>(param) {}
  virtual inline const char* type() const { return "Exp"; }
};

}  // namespace caffe

#endif  // CAFFE_EXP_LAYER_HPP_
