#include "caffe/layers/argmax_layer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace caffe {

template <typename Dtype>
void ArgMaxLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& /*top*/) {
  const ArgMaxParameter& param = this->layer_param_.argmax_param();
  out_max_val_ = param.out_max_val();
  top_k_ = param.top_k();
  has_axis_ = param.has_axis();
  axis_ = has_axis_ ? bottom[0]->CanonicalAxisIndex(param.axis()) : 0;
}

template <typename Dtype>
void ArgMaxLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  const size_t candidates = has_axis_ ? bottom[0]->shape(axis_) : bottom[0]->count(1);
  if (top_k_ < 1 || top_k_ > candidates) {
    throw ValueError(Str("top_k is ", top_k_, ", expected 1 to ", candidates,
                         ", the number of values in ",
                         has_axis_ ? Str("axis ", axis_) : string("one sample"),
                         " of bottom[0] of shape ", ShapeText(bottom[0]->shape())));
  }
  const int k = static_cast<int>(top_k_);
  vector<int> shape;
  if (has_axis_) {
    shape = bottom[0]->shape();
    shape[axis_] = k;
  } else {
    shape.assign(std::max(bottom[0]->num_axes(), 3), 1);
    shape[0] = bottom[0]->shape(0);
    shape[1] = out_max_val_ ? 2 : 1;
    shape[2] = k;
  }
  top[0]->Reshape(shape);
}

template <typename Dtype>
LayerTraits ArgMaxLayer<Dtype>::Traits() const {
  return {.of = &typeid(ArgMaxLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void ArgMaxLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* out = top[0]->mutable_cpu_data();
  const int outer = has_axis_ ? bottom[0]->count(0, axis_) : bottom[0]->shape(0);
  const int candidates = has_axis_ ? bottom[0]->shape(axis_) : bottom[0]->count(1);
  const int inner = has_axis_ ? bottom[0]->count(axis_ + 1) : 1;
  const int k = static_cast<int>(top_k_);
  using Candidate = std::pair<Dtype, int>;
  vector<Candidate> best(candidates);
  for (int o = 0; o < outer; ++o) {
    for (int i = 0; i < inner; ++i) {
      for (int c = 0; c < candidates; ++c) {
        const Dtype value = x[(o * candidates + c) * inner + i];
        best[c] = {value, c};
      }
      // NaN would break the order that partial_sort needs, so it comes last by itself.
      std::partial_sort(best.begin(), best.begin() + k, best.end(),
                        [](const Candidate& a, const Candidate& b) {
                          const bool a_is_nan = std::isnan(a.first);
                          if (a_is_nan != std::isnan(b.first)) return !a_is_nan;
                          if (!a_is_nan && a.first != b.first) return a.first > b.first;
                          return a.second > b.second;
                        });
      for (int rank = 0; rank < k; ++rank) {
        if (has_axis_) {
          out[(o * k + rank) * inner + i] =
              out_max_val_ ? best[rank].first : Dtype(best[rank].second);
        } else {
          Dtype* sample = out + static_cast<size_t>(o) * k * (out_max_val_ ? 2 : 1);
          sample[rank] = best[rank].second;
          if (out_max_val_) sample[k + rank] = best[rank].first;
        }
      }
    }
  }
}

template <typename Dtype>
void ArgMaxLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& /*top*/,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& /*bottom*/) {
  if (!propagate_down[0]) return;
  throw NotImplementedFailure("it has no gradient; set propagate_down: false");
}

INSTANTIATE_CLASS(ArgMaxLayer);
REGISTER_LAYER_CLASS(ArgMax);

}  // namespace caffe
