#include "caffe/layers/filter_layer.hpp"

#include <cstdint>

#include "caffe/layers/labels.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
void FilterLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  if (top.size() != bottom.size() - 1) {
    throw ValueError(Str("got ", top.size(), " top blob(s), expected ", bottom.size() - 1,
                         ", one for every bottom but the selector, the last"));
  }
  first_reshape_ = true;
}

template <typename Dtype>
void FilterLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& selector = *bottom.back();
  const int last = static_cast<int>(bottom.size()) - 1;
  if (selector.num_axes() < 1 || selector.count(1) != 1) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, last), ": shape ",
                         ShapeText(selector.shape()),
                         ", expected one value for each sample as a selector"));
  }
  for (int i = 0; i < last; ++i) {
    if (bottom[i]->num_axes() > 0 && bottom[i]->shape(0) == selector.shape(0)) continue;
    throw ValueError(Str(NameOfBottom(this->layer_param_, i), ": shape ",
                         ShapeText(bottom[i]->shape()), ", expected ", selector.shape(0),
                         " samples on axis 0 like the selector, bottom[", last, "]"));
  }
  indices_to_forward_.clear();
  const Dtype* selected = selector.cpu_data();
  for (int n = 0; n < selector.shape(0); ++n) {
    if (selected[n] != Dtype(0)) indices_to_forward_.push_back(n);
  }
  // When a net is built there is nothing to select by, and the layers behind this one
  // want to see a whole batch.
  const int rows =
      first_reshape_ ? selector.shape(0) : static_cast<int>(indices_to_forward_.size());
  first_reshape_ = false;
  for (size_t t = 0; t < top.size(); ++t) {
    vector<int> shape = bottom[t]->shape();
    shape[0] = rows;
    top[t]->Reshape(shape);
  }
}

template <typename Dtype>
LayerTraits FilterLayer<Dtype>::Traits() const {
  return {.of = &typeid(FilterLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void FilterLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  for (size_t t = 0; t < top.size(); ++t) {
    if (top[t]->count() == 0) continue;
    const int length = top[t]->count(1);
    const Dtype* x = bottom[t]->cpu_data();
    Dtype* y = top[t]->mutable_cpu_data();
    for (const std::int64_t n : indices_to_forward_) {
      caffe_copy(length, x + n * length, y);
      y += length;
    }
  }
}

template <typename Dtype>
void FilterLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("selectors", this->layer_param_, propagate_down, top.size());
  for (size_t t = 0; t < top.size(); ++t) {
    if (!propagate_down[t]) continue;
    Dtype* dx = bottom[t]->mutable_cpu_diff();
    caffe_set(bottom[t]->count(), Dtype(0), dx);
    if (top[t]->count() == 0) continue;
    const int length = top[t]->count(1);
    const Dtype* dy = top[t]->cpu_diff();
    for (const std::int64_t n : indices_to_forward_) {
      caffe_copy(length, dy, dx + n * length);
      dy += length;
    }
  }
}

INSTANTIATE_CLASS(FilterLayer);
REGISTER_LAYER_CLASS(Filter);

}  // namespace caffe
