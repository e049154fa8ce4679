#include "caffe/layers/tile_layer.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void TileLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top) {
  const TileParameter& param = this->layer_param_.tile_param();
  const int axis = bottom[0]->CanonicalAxisIndex(param.axis());
  vector<int> shape = bottom[0]->shape();
  tiles_ = param.tiles();
  if (!param.has_tiles() || tiles_ <= 0 ||
      static_cast<std::int64_t>(shape[axis]) * tiles_ > INT_MAX) {
    throw ValueError(Str("tile_param.tiles is ",
                         param.has_tiles() ? Str(tiles_) : "missing",
                         ", expected a positive number of copies of bottom[0] of shape ",
                         ShapeText(shape)));
  }
  shape[axis] *= tiles_;
  top[0]->Reshape(shape);
  outer_dim_ = bottom[0]->count(0, axis);
  inner_dim_ = bottom[0]->count(axis);
}

template <typename Dtype>
LayerTraits TileLayer<Dtype>::Traits() const {
  return {.of = &typeid(TileLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone},
          .device_only = true};
}

template <typename Dtype>
void TileLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const Dtype* src = bottom[0]->cpu_data();
  Dtype* dst = top[0]->mutable_cpu_data();
  ParallelTasks(outer_dim_, top[0]->count(), [=, this](std::int64_t n) {
    for (std::int64_t t = 0; t < tiles_; ++t) {
      std::copy_n(src + n * inner_dim_, inner_dim_, dst + (n * tiles_ + t) * inner_dim_);
    }
  });
}

template <typename Dtype>
void TileLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  ParallelTasks(outer_dim_, top[0]->count(), [=, this](std::int64_t n) {
    Dtype* sum = dx + n * inner_dim_;
    std::copy_n(dy + n * tiles_ * inner_dim_, inner_dim_, sum);
    for (std::int64_t t = 1; t < tiles_; ++t) {
      const Dtype* copy = dy + (n * tiles_ + t) * inner_dim_;
#pragma omp simd
      for (int i = 0; i < inner_dim_; ++i) sum[i] += copy[i];
    }
  });
}

INSTANTIATE_CLASS(TileLayer);
REGISTER_LAYER_CLASS(Tile);

}  // namespace caffe
