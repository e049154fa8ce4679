#include "caffe/layers/l2_normalize_layer.hpp"

#include "caffe/layers/normalize_arithmetic.hpp"

namespace caffe {

template <typename Dtype>
void L2NormalizeLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() < 1) {
    throw ValueError("bottom[0] is a scalar, expected (N, ...)");
  }
  top[0]->ReshapeLike(*bottom[0]);
  inverse_norm_.Reshape({bottom[0]->shape(0)});
  one_.Reshape(vector<int>());
  one_.mutable_cpu_data()[0] = 1;
}

template <typename Dtype>
LayerTraits L2NormalizeLayer<Dtype>::Traits() const {
  return {.of = &typeid(L2NormalizeLayer),
          .bottom_use = {DataUse::kRead},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void L2NormalizeLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  NormalizeForward({bottom[0]->shape(0), 1, bottom[0]->count(1), true}, 0.0,
                   one_.cpu_data(), 0, bottom[0]->cpu_data(), top[0]->mutable_cpu_data(),
                   inverse_norm_.mutable_cpu_data());
}

template <typename Dtype>
void L2NormalizeLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  NormalizeBackward({bottom[0]->shape(0), 1, bottom[0]->count(1), true},
                    inverse_norm_.cpu_data(), one_.cpu_data(), 0, bottom[0]->cpu_data(),
                    top[0]->cpu_diff(), bottom[0]->mutable_cpu_diff());
}

INSTANTIATE_CLASS(L2NormalizeLayer);
REGISTER_LAYER_CLASS(L2Normalize);

}  // namespace caffe
