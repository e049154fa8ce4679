#include "caffe/layers/relu_layer.hpp"

#include "caffe/layers/elementwise_layer_impl.hpp"

namespace caffe {

template <typename Dtype>
LayerTraits ReLULayer<Dtype>::Traits() const {
  LayerTraits traits = ElementwiseLayer<Dtype, ReLUFunctor, caffe::ReLULayer>::Traits();
  if (this->layer_param_.relu_param().negative_slope() >= 0) {
    traits.in_place = {InPlace::kKeepsSign};
  }
  traits.can_recompute = true;
  return traits;
}

INSTANTIATE_CLASS(ReLULayer);
REGISTER_LAYER_CLASS(ReLU);

}  // namespace caffe
