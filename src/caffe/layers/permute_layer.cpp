#include "caffe/layers/permute_layer.hpp"

#include <algorithm>

#include "caffe/layers/strided_view.hpp"

namespace caffe {

template <typename Dtype>
void PermuteLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& /*top*/) {
  order_.clear();
  for (const unsigned int axis : this->layer_param_.permute_param().order()) {
    if (axis >= static_cast<unsigned int>(bottom[0]->num_axes())) {
      throw ValueError(Str("permute_param.order has axis ", axis, ", expected 0 to ",
                           bottom[0]->num_axes() - 1, " for bottom[0] of shape ",
                           ShapeText(bottom[0]->shape())));
    }
    if (std::find(order_.begin(), order_.end(), static_cast<int>(axis)) != order_.end()) {
      throw ValueError(
          Str("permute_param.order has axis ", axis, " twice, expected every axis once"));
    }
    order_.push_back(static_cast<int>(axis));
  }
  for (int axis = 0; axis < bottom[0]->num_axes(); ++axis) {
    if (std::find(order_.begin(), order_.end(), axis) == order_.end()) {
      order_.push_back(axis);
    }
  }
}

template <typename Dtype>
void PermuteLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() != static_cast<int>(order_.size())) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected ", order_.size(),
                         " axes as when the net was built"));
  }
  vector<int> shape;
  for (const int axis : order_) shape.push_back(bottom[0]->shape(axis));
  top[0]->Reshape(shape);
}

template <typename Dtype>
StridedView PermuteLayer<Dtype>::View(const vector<int>& shape) const {
  vector<int> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * shape[axis];
  }
  StridedView view;
  for (const int axis : order_) view.AddAxis(shape[axis], strides[axis]);
  return view;
}

template <typename Dtype>
LayerTraits PermuteLayer<Dtype>::Traits() const {
  return {.of = &typeid(PermuteLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void PermuteLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  Gather(View(bottom[0]->shape()), bottom[0]->cpu_data(), top[0]->mutable_cpu_data());
}

template <typename Dtype>
void PermuteLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  Scatter(View(bottom[0]->shape()), top[0]->cpu_diff(), bottom[0]->mutable_cpu_diff());
}

INSTANTIATE_CLASS(PermuteLayer);
REGISTER_LAYER_CLASS(Permute);

}  // namespace caffe
