#include "caffe/layers/softmax_layer.hpp"

#include <vector>

#include "caffe/ops/softmax.hpp"

namespace caffe {

template <typename Dtype>
void SoftmaxLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  softmax_axis_ =
      bottom[0]->CanonicalAxisIndex(this->layer_param_.softmax_param().axis());
  if (bottom[0] != top[0]) top[0]->ReshapeLike(*bottom[0]);
  outer_num_ = bottom[0]->count(0, softmax_axis_);
  inner_num_ = bottom[0]->count(softmax_axis_ + 1);
}

template <typename Dtype>
LayerTraits SoftmaxLayer<Dtype>::Traits() const {
  return {.of = &typeid(SoftmaxLayer),
          .in_place = {InPlace::kChanges},
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kRead},
          .device_only = true};
}

template <typename Dtype>
void SoftmaxLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = bottom[0] == top[0]
                 ? top[0]->mutable_cpu_data()
                 : static_cast<Dtype*>(top[0]->data()->overwrite_cpu_data());
  Softmax(outer_num_, bottom[0]->shape(softmax_axis_), inner_num_, x, y);
}

template <typename Dtype>
void SoftmaxLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  SoftmaxBackward(outer_num_, top[0]->shape(softmax_axis_), inner_num_,
                  top[0]->cpu_data(), top[0]->cpu_diff(), bottom[0]->mutable_cpu_diff());
}

INSTANTIATE_CLASS(SoftmaxLayer);
REGISTER_LAYER_CLASS(Softmax);

}  // namespace caffe
