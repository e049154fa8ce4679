#include "caffe/layers/threshold_layer.hpp"

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

template <typename Dtype>
void ThresholdLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  NeuronLayer<Dtype>::LayerSetUp(bottom, top);
  threshold_ = this->layer_param_.threshold_param().threshold();
}

template <typename Dtype>
LayerTraits ThresholdLayer<Dtype>::Traits() const {
  return {.of = &typeid(ThresholdLayer),
          .in_place = {InPlace::kChanges},
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void ThresholdLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  ElementwiseForward<Dtype>(ThresholdFunctor<Dtype>{threshold_}, bottom, top, nullptr);
}

template <typename Dtype>
void ThresholdLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& /*bottom*/) {
  if (!propagate_down[0]) return;
  throw NotImplementedFailure("it has no gradient; set propagate_down: false");
}

INSTANTIATE_CLASS(ThresholdLayer);
REGISTER_LAYER_CLASS(Threshold);

}  // namespace caffe
