#include "caffe/layers/axpy_layer.hpp"

#include <algorithm>

#include "caffe/layers/axpy_arithmetic.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
void AxpyLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top) {
  constexpr const char* kOrder = " Bottoms are a, x, y in that order.";
  const vector<int>& y = bottom[2]->shape();
  if (y.size() < 2) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 2), ": shape ", ShapeText(y),
                         ", expected (N, C, H, W).", kOrder));
  }
  if (bottom[1]->shape() != y) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": shape ",
                         ShapeText(bottom[1]->shape()), ", expected ", ShapeText(y),
                         " like bottom[2].", kOrder));
  }
  const vector<int>& a = bottom[0]->shape();
  const bool leads = a.size() >= 2 && a[0] == y[0] && a[1] == y[1];
  if (!leads || !std::all_of(a.begin() + 2, a.end(), [](int dim) { return dim == 1; })) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ", ShapeText(a),
                         ", expected ", ShapeText({y[0], y[1], 1, 1}), " or ",
                         ShapeText({y[0], y[1]}), " to go with bottom[1] of shape ",
                         ShapeText(y), ".", kOrder));
  }
  top[0]->ReshapeLike(*bottom[1]);
}

template <typename Dtype>
LayerTraits AxpyLayer<Dtype>::Traits() const {
  return {.of = &typeid(AxpyLayer),
          .in_place = {InPlace::kRefused, InPlace::kRefused, InPlace::kChanges},
          .bottom_use = {DataUse::kRead, DataUse::kRead, DataUse::kNone},
          .top_use = {DataUse::kNone},
          .can_recompute = true,
          .device_only = true};
}

template <typename Dtype>
void AxpyLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const int block = std::max(DataOf(bottom[1]).block(), DataOf(bottom[2]).block());
  const Dtype* a = bottom[0]->cpu_data();
  const Dtype* x = DataOf(bottom[1]).Read(block);
  const Dtype* y = DataOf(bottom[2]).Read(block);
  Dtype* out = DataOf(top[0]).WriteFrom(DataOf(bottom[2]), block);
  AxpyForward(AxpyTiles(bottom[0]->count(), bottom[1]->count(2), block), a, x, y, out);
}

template <typename Dtype>
void AxpyLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  const int block = DiffOf(top[0]).block();
  const Dtype* a = bottom[0]->cpu_data();
  const Dtype* x = propagate_down[0] ? DataOf(bottom[1]).Read(block) : nullptr;
  const Dtype* d_out = DiffOf(top[0]).Read(block);
  // In place, dy is d_out already.
  const bool copies = propagate_down[2] && top[0] != bottom[2];
  Dtype* da = propagate_down[0] ? bottom[0]->mutable_cpu_diff() : nullptr;
  Dtype* dx = propagate_down[1] ? DiffOf(bottom[1]).Write(block) : nullptr;
  Dtype* dy = copies ? DiffOf(bottom[2]).Write(block) : nullptr;
  AxpyBackward(AxpyTiles(bottom[0]->count(), bottom[1]->count(2), block), a, x, d_out, da,
               dx, dy);
}

INSTANTIATE_CLASS(AxpyLayer);
REGISTER_LAYER_CLASS(Axpy);

}  // namespace caffe
