#include "caffe/layers/relu_layer.hpp"

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
LayerTraits ReLULayer<Dtype>::Traits() const {
  const ReLUFunctor<Dtype> f(this->layer_param_);
  LayerTraits traits = ElementwiseTraits(typeid(ReLULayer), f.Source(), this->in_place());
  if (f.slope >= 0) traits.in_place = {InPlace::kKeepsSign};
  traits.can_recompute = true;
  return traits;
}

ELEMENTWISE_PASSES(ReLU, &this->kept_input_)
INSTANTIATE_CLASS(ReLULayer);
REGISTER_LAYER_CLASS(ReLU);

}  // namespace caffe
