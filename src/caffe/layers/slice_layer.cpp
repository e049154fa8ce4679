#include "caffe/layers/slice_layer.hpp"

#include "caffe/layers/strips.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
void SliceLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                   const vector<Blob<Dtype>*>& top) {
  const SliceParameter& param = this->layer_param_.slice_param();
  if (param.has_axis() && param.has_slice_dim()) {
    throw ValueError("it has both axis and its old name slice_dim; give one");
  }
  slice_point_.assign(param.slice_point().begin(), param.slice_point().end());
  if (!slice_point_.empty() && slice_point_.size() + 1 != top.size()) {
    throw ValueError(Str(slice_point_.size(), " slice_point value(s), expected ",
                         top.size() - 1,
                         ", one fewer than tops, or none for equal parts"));
  }
}

template <typename Dtype>
void SliceLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  const SliceParameter& param = this->layer_param_.slice_param();
  slice_axis_ = bottom[0]->CanonicalAxisIndex(
      param.has_slice_dim() ? static_cast<int>(param.slice_dim()) : param.axis());
  vector<int> shape = bottom[0]->shape();
  const int extent = shape[slice_axis_];
  const int tops = static_cast<int>(top.size());
  if (slice_point_.empty() && extent % tops != 0) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ",
                         ShapeText(shape), ", expected an extent on axis ", slice_axis_,
                         " that can be cut into ", tops, " equal parts"));
  }
  int begin = 0;
  for (int i = 0; i < tops; ++i) {
    int end = extent;
    if (slice_point_.empty()) {
      end = begin + extent / tops;
    } else if (i + 1 < tops) {
      end = slice_point_[i];
    }
    if (end <= begin || end > extent) {
      throw ValueError(Str("top[", i, "] would be indices ", begin, " to ", end,
                           " of axis ", slice_axis_, " of bottom[0] of shape ",
                           ShapeText(bottom[0]->shape()),
                           "; slice_point must rise, from above 0 to below ", extent));
    }
    shape[slice_axis_] = end - begin;
    top[i]->Reshape(shape);
    begin = end;
  }
  if (tops == 1) {
    top[0]->ShareData(*bottom[0]);
    top[0]->ShareDiff(*bottom[0]);
  }
}

template <typename Dtype>
LayerTraits SliceLayer<Dtype>::Traits() const {
  return {.of = &typeid(SliceLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone},
          .can_recompute = true,
          .device_only = true};
}

template <typename Dtype>
void SliceLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  if (top.size() == 1) return;
  Cut(DataOf(bottom[0]), slice_axis_, DataOf(top), vector<bool>(top.size(), true));
}

template <typename Dtype>
void SliceLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || top.size() == 1) return;
  Join(DiffOf(top), slice_axis_, DiffOf(bottom[0]));
}

INSTANTIATE_CLASS(SliceLayer);
REGISTER_LAYER_CLASS(Slice);

}  // namespace caffe
