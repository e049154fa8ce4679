#include "caffe/layers/reverse_layer.hpp"

#include "caffe/layers/strided_view.hpp"

namespace caffe {

template <typename Dtype>
void ReverseLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  bottom[0]->CanonicalAxisIndex(this->layer_param_.reverse_param().axis());  // or throws
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
StridedView ReverseLayer<Dtype>::View(const vector<int>& shape) const {
  const int given = this->layer_param_.reverse_param().axis();
  const size_t axis = given < 0 ? given + shape.size() : given;
  int outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= shape[i];
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  StridedView view;
  view.offset = (shape[axis] - 1) * inner;
  view.AddAxis(outer, shape[axis] * inner);
  view.AddAxis(shape[axis], -inner);
  view.AddAxis(inner, 1);
  return view;
}

template <typename Dtype>
LayerTraits ReverseLayer<Dtype>::Traits() const {
  return {.of = &typeid(ReverseLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void ReverseLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  Gather(View(bottom[0]->shape()), bottom[0]->cpu_data(), top[0]->mutable_cpu_data());
}

template <typename Dtype>
void ReverseLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  Scatter(View(bottom[0]->shape()), top[0]->cpu_diff(), bottom[0]->mutable_cpu_diff());
}

INSTANTIATE_CLASS(ReverseLayer);
REGISTER_LAYER_CLASS(Reverse);

}  // namespace caffe
