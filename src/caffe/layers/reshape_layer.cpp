#include "caffe/layers/reshape_layer.hpp"

#include <cstdint>

namespace caffe {

template <typename Dtype>
void ReshapeLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&,
                                     const vector<Blob<Dtype>*>&) {
  int inferred = 0;
  for (const std::int64_t dim : this->layer_param_.reshape_param().shape().dim()) {
    inferred += dim == -1;
    if (dim < -1 || dim > INT_MAX || inferred > 1) {
      throw ValueError(Str("reshape_param.shape has ",
                           inferred > 1 ? "more than one -1" : Str("the extent ", dim),
                           "; extents are positive, 0 (as in the bottom), or one -1"));
    }
  }
}

template <typename Dtype>
void ReshapeLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const ReshapeParameter& param = this->layer_param_.reshape_param();
  const vector<int>& from = bottom[0]->shape();
  const int axes = bottom[0]->num_axes();
  // The axes [start, end) of the bottom are replaced.
  const int start = param.axis() >= 0 ? param.axis() : axes + param.axis() + 1;
  const int end = param.num_axes() == -1 ? axes : start + param.num_axes();
  if (start < 0 || start > axes || param.num_axes() < -1 || end > axes) {
    throw ValueError(Str("axis ", param.axis(), " and num_axes ", param.num_axes(),
                         " lie outside bottom[0] of shape ", ShapeText(from)));
  }
  vector<int> shape(from.begin(), from.begin() + start);
  int inferred = -1;
  for (int i = 0; i < param.shape().dim_size(); ++i) {
    int dim = static_cast<int>(param.shape().dim(i));
    if (dim == 0) {
      if (start + i >= axes) {
        throw ValueError(Str("reshape_param.shape asks for axis ", start + i,
                             " of bottom[0], whose shape is ", ShapeText(from)));
      }
      dim = from[start + i];
    } else if (dim == -1) {
      inferred = static_cast<int>(shape.size());
      dim = 1;
    }
    shape.push_back(dim);
  }
  shape.insert(shape.end(), from.begin() + end, from.end());
  std::int64_t count = 1;
  for (const int dim : shape) {
    count *= dim;
    if (count > INT_MAX) break;
  }
  if (inferred >= 0 && count > 0 && bottom[0]->count() % count == 0) {
    shape[inferred] = static_cast<int>(bottom[0]->count() / count);
    count *= shape[inferred];
  }
  if (count != bottom[0]->count()) {
    if (inferred >= 0) shape[inferred] = -1;
    throw ValueError(Str("bottom[0] of shape ", ShapeText(from), " has ",
                         bottom[0]->count(), " elements, which do not fit the shape ",
                         ShapeText(shape)));
  }
  top[0]->Reshape(shape);
  top[0]->ShareData(*bottom[0]);
  top[0]->ShareDiff(*bottom[0]);
}

template <typename Dtype>
LayerTraits ReshapeLayer<Dtype>::Traits() const {
  return {.of = &typeid(ReshapeLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone},
          .shares_bottom = true,
          .device_only = true};
}

INSTANTIATE_CLASS(ReshapeLayer);
REGISTER_LAYER_CLASS(Reshape);

}  // namespace caffe
