#include "caffe/layers/shuffle_channel_layer.hpp"

#include "caffe/layers/strided_view.hpp"

namespace caffe {

template <typename Dtype>
void ShuffleChannelLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  const unsigned int group = this->layer_param_.shuffle_channel_param().group();
  if (bottom[0]->num_axes() < 2) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected (N, C, ...)"));
  }
  if (group == 0 || bottom[0]->shape(1) % group != 0) {
    throw ValueError(Str("shuffle_channel_param.group is ", group,
                         ", expected a divisor of the ", bottom[0]->shape(1),
                         " channels of bottom[0]"));
  }
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
StridedView ShuffleChannelLayer<Dtype>::View(const vector<int>& shape) const {
  const int group = static_cast<int>(this->layer_param_.shuffle_channel_param().group());
  int spatial = 1;
  for (size_t axis = 2; axis < shape.size(); ++axis) spatial *= shape[axis];
  const int in_group = shape[1] / group;
  StridedView view;
  view.AddAxis(shape[0], shape[1] * spatial);
  view.AddAxis(in_group, spatial);
  view.AddAxis(group, in_group * spatial);
  view.AddAxis(spatial, 1);
  return view;
}

template <typename Dtype>
LayerTraits ShuffleChannelLayer<Dtype>::Traits() const {
  return {.of = &typeid(ShuffleChannelLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void ShuffleChannelLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  Gather(View(bottom[0]->shape()), bottom[0]->cpu_data(), top[0]->mutable_cpu_data());
}

template <typename Dtype>
void ShuffleChannelLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  Scatter(View(bottom[0]->shape()), top[0]->cpu_diff(), bottom[0]->mutable_cpu_diff());
}

INSTANTIATE_CLASS(ShuffleChannelLayer);
REGISTER_LAYER_CLASS(ShuffleChannel);

}  // namespace caffe
