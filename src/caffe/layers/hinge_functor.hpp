#ifndef CAFFE_LAYERS_HINGE_FUNCTOR_HPP_
#define CAFFE_LAYERS_HINGE_FUNCTOR_HPP_

#include "caffe/common.hpp"

namespace caffe {

/// One term of HingeLoss, for CPU and GPU alike: of score x, that of the sample's `own`
/// class or of another one.
template <typename Dtype>
struct Hinge {
  bool squared;  ///< the L2 form

  CAFFE_HOST_DEVICE Dtype Margin(Dtype x, bool own) const {
    const Dtype margin = 1 + (own ? -x : x);
    return margin < 0 ? Dtype(0) : margin;  // NaN stays NaN
  }
  CAFFE_HOST_DEVICE double Loss(Dtype x, bool own) const {
    const double margin = Margin(x, own);
    return squared ? margin * margin : margin;
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, bool own, Dtype scale) const {
    const Dtype margin = Margin(x, own);
    if (margin == 0) return 0;
    return (own ? -scale : scale) * (squared ? 2 * margin : Dtype(1));
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_HINGE_FUNCTOR_HPP_
