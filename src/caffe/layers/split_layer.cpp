#include "caffe/layers/split_layer.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/ops/tensor.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void SplitLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  for (Blob<Dtype>* t : top) t->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
LayerTraits SplitLayer<Dtype>::Traits() const {
  return {.of = &typeid(SplitLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone},
          .shares_bottom = true,
          .device_only = true};
}

template <typename Dtype>
void SplitLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  for (Blob<Dtype>* t : top) t->ShareData(*bottom[0]);
}

template <typename Dtype>
void SplitLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const vector<Tensor<Dtype>> diffs = DiffOf(top);
  const int block = CommonBlock(diffs);
  vector<const Dtype*> dy;
  for (const Tensor<Dtype>& diff : diffs) dy.push_back(diff.Read(block));
  Dtype* dx = DiffOf(bottom[0]).Write(block);
  if (dy.size() == 1) {
    caffe_copy(bottom[0]->count(), dy[0], dx);
    return;
  }
  ParallelChunks(bottom[0]->count(), [&](std::int64_t begin, std::int64_t end) {
    // Row by row, so that more than two tops still make one pass over memory.
    constexpr std::int64_t kRow = 1024;
    for (std::int64_t first = begin; first < end; first += kRow) {
      const std::int64_t last = std::min(end, first + kRow);
#pragma omp simd
      for (std::int64_t i = first; i < last; ++i) dx[i] = dy[0][i] + dy[1][i];
      for (size_t t = 2; t < dy.size(); ++t) {
        const Dtype* next = dy[t];
#pragma omp simd
        for (std::int64_t i = first; i < last; ++i) dx[i] += next[i];
      }
    }
  });
}

INSTANTIATE_CLASS(SplitLayer);
REGISTER_LAYER_CLASS(Split);

}  // namespace caffe
