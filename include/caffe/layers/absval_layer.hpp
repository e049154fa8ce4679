#ifndef CAFFE_ABSVAL_LAYER_HPP_
#define CAFFE_ABSVAL_LAYER_HPP_

#include <cmath>

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
struct AbsValFunctor {
  void Read(const LayerParameter& /*param*/) {}
  GradientSource Source() const { return GradientSource::kInput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const { return std::fabs(x); }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    return x > 0 ? dy : x < 0 ? -dy : Dtype(0);
  }
};

/// y = |x|.
///
/// dx = sign(x) dy, 0 at x = 0. In place works: the input is kept for Backward.
template <typename Dtype>
class AbsValLayer : public ElementwiseLayer<Dtype, AbsValFunctor, AbsValLayer> {
 public:
  explicit AbsValLayer(const LayerParameter& param)
      : ElementwiseLayer<Dtype, AbsValFunctor, AbsValLayer>(param) {}
  virtual inline const char* type() const { return "AbsVal"; }
};

}  // namespace caffe

#endif  // CAFFE_ABSVAL_LAYER_HPP_
