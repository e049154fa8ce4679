#include "caffe/layers/batch_reindex_layer.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/layers/row_indices.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void BatchReindexLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() < 1) {
    throw ValueError("bottom[0] is a single number, expected samples on axis 0");
  }
  if (bottom[1]->num_axes() != 1) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": shape ",
                         ShapeText(bottom[1]->shape()),
                         ", expected indices on one axis"));
  }
  vector<int> shape = bottom[0]->shape();
  shape[0] = bottom[1]->shape(0);
  top[0]->Reshape(shape);
}

template <typename Dtype>
LayerTraits BatchReindexLayer<Dtype>::Traits() const {
  return {.of = &typeid(BatchReindexLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void BatchReindexLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  ReadIndices(this->layer_param_, *bottom[1], 1, bottom[0]->shape(0),
              "the samples of bottom[0]", &indices_);
  const int* index = indices_.cpu_data();
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  const std::int64_t length = bottom[0]->count(1);
  ParallelTasks(indices_.count(), top[0]->count(), [=](std::int64_t i) {
    std::copy_n(x + index[i] * length, length, y + i * length);
  });
}

template <typename Dtype>
void BatchReindexLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("indices", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  caffe_set(bottom[0]->count(), Dtype(0), dx);
  const std::int64_t length = bottom[0]->count(1);
  const RowsByIndex groups(indices_);
  ParallelTasks(groups.index.size(), top[0]->count(), [&](std::int64_t group) {
    Dtype* sum = dx + groups.index[group] * length;
    for (int r = groups.begin[group]; r < groups.begin[group + 1]; ++r) {
      const Dtype* row = dy + groups.rows[r] * length;
#pragma omp simd
      for (std::int64_t d = 0; d < length; ++d) sum[d] += row[d];
    }
  });
}

INSTANTIATE_CLASS(BatchReindexLayer);
REGISTER_LAYER_CLASS(BatchReindex);

}  // namespace caffe
