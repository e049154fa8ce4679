#include "caffe/layers/concat_layer.hpp"

#include <cstdint>

#include "caffe/layers/strips.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
void ConcatLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                    const vector<Blob<Dtype>*>& /*top*/) {
  const ConcatParameter& param = this->layer_param_.concat_param();
  if (param.has_axis() && param.has_concat_dim()) {
    throw ValueError("it has both axis and its old name concat_dim; give one");
  }
}

template <typename Dtype>
void ConcatLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  const ConcatParameter& param = this->layer_param_.concat_param();
  concat_axis_ = bottom[0]->CanonicalAxisIndex(
      param.has_concat_dim() ? static_cast<int>(param.concat_dim()) : param.axis());
  vector<int> shape = bottom[0]->shape();
  std::int64_t extent = shape[concat_axis_];
  for (size_t i = 1; i < bottom.size(); ++i) {
    vector<int> other = bottom[i]->shape();
    if (other.size() == shape.size()) {
      extent += other[concat_axis_];
      other[concat_axis_] = shape[concat_axis_];
    }
    if (other != shape) {
      throw ValueError(Str(NameOfBottom(this->layer_param_, i), ": shape ",
                           ShapeText(bottom[i]->shape()), ", expected ", ShapeText(shape),
                           " like bottom[0] except on axis ", concat_axis_));
    }
  }
  if (extent > INT_MAX) {
    throw ValueError(Str("the extents on axis ", concat_axis_, " add up to ", extent,
                         ", more than ", INT_MAX));
  }
  shape[concat_axis_] = static_cast<int>(extent);
  top[0]->Reshape(shape);
  if (bottom.size() == 1) {
    top[0]->ShareData(*bottom[0]);
    top[0]->ShareDiff(*bottom[0]);
  }
}

template <typename Dtype>
LayerTraits ConcatLayer<Dtype>::Traits() const {
  return {.of = &typeid(ConcatLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone},
          .can_recompute = true,
          .device_only = true};
}

template <typename Dtype>
void ConcatLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  if (bottom.size() > 1) Join(DataOf(bottom), concat_axis_, DataOf(top[0]));
}

template <typename Dtype>
void ConcatLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (bottom.size() == 1) return;
  Cut(DiffOf(top[0]), concat_axis_, DiffOf(bottom), propagate_down);
}

INSTANTIATE_CLASS(ConcatLayer);
REGISTER_LAYER_CLASS(Concat);

}  // namespace caffe
