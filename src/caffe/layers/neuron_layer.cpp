#include "caffe/layers/neuron_layer.hpp"

namespace caffe {

template <typename Dtype>
void NeuronLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
LayerTraits NeuronLayer<Dtype>::Traits() const {
  LayerTraits traits;
  traits.in_place = {InPlace::kChanges};
  return traits;
}

INSTANTIATE_CLASS(NeuronLayer);

}  // namespace caffe
