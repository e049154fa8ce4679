#include "caffe/layers/embed_layer.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "caffe/filler.hpp"
#include "caffe/layers/row_indices.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void EmbedLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& /*bottom*/,
                                   const vector<Blob<Dtype>*>& /*top*/) {
  const EmbedParameter& param = this->layer_param_.embed_param();
  if (param.num_output() < 1 || param.num_output() > INT_MAX) {
    throw ValueError("embed_param.num_output must be positive");
  }
  if (param.input_dim() < 1 || param.input_dim() > INT_MAX) {
    throw ValueError(
        "embed_param.input_dim must be positive: one more than the largest index");
  }
  N_ = static_cast<int>(param.num_output());
  K_ = static_cast<int>(param.input_dim());
  bias_term_ = param.bias_term();
  this->param_propagate_down_.resize(1 + bias_term_, true);
  const vector<int> weight_shape = {K_, N_};
  if (!this->blobs_.empty()) {
    if (this->blobs_.size() != size_t{1} + bias_term_ ||
        this->blobs_[0]->shape() != weight_shape ||
        (bias_term_ && this->blobs_[1]->count() != N_)) {
      throw ValueError(Str("the weights given with the layer do not fit, expected ",
                           ShapeText(weight_shape), bias_term_ ? " and a bias" : ""));
    }
    return;
  }
  this->blobs_.resize(1 + bias_term_);
  this->blobs_[0] = std::make_shared<Blob<Dtype>>(weight_shape);
  std::unique_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.weight_filler()))
      ->Fill(this->blobs_[0].get());
  if (bias_term_) {
    this->blobs_[1] = std::make_shared<Blob<Dtype>>(vector<int>{N_});
    std::unique_ptr<Filler<Dtype>>(GetFiller<Dtype>(param.bias_filler()))
        ->Fill(this->blobs_[1].get());
  }
}

template <typename Dtype>
void EmbedLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  M_ = bottom[0]->count();
  vector<int> shape = bottom[0]->shape();
  shape.push_back(N_);
  top[0]->Reshape(shape);
}

template <typename Dtype>
LayerTraits EmbedLayer<Dtype>::Traits() const {
  return {.of = &typeid(EmbedLayer),
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone}};
}

template <typename Dtype>
void EmbedLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  ReadIndices(this->layer_param_, *bottom[0], 0, K_, "the rows of the table", &indices_);
  const int* index = indices_.cpu_data();
  const Dtype* table = this->blobs_[0]->cpu_data();
  const Dtype* bias = bias_term_ ? this->blobs_[1]->cpu_data() : nullptr;
  Dtype* y = top[0]->mutable_cpu_data();
  const int length = N_;
  ParallelTasks(M_, top[0]->count(), [=](std::int64_t m) {
    const Dtype* row = table + std::int64_t{index[m]} * length;
    Dtype* to = y + m * length;
    if (!bias) {
      std::copy_n(row, length, to);
      return;
    }
#pragma omp simd
    for (int d = 0; d < length; ++d) to[d] = row[d] + bias[d];
  });
}

template <typename Dtype>
void EmbedLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& /*bottom*/) {
  CheckNoGradientOf("indices", this->layer_param_, propagate_down, 0);
  const Dtype* dy = top[0]->cpu_diff();
  const int length = N_;
  if (this->param_propagate_down_[0]) {
    const RowsByIndex groups(indices_);
    Dtype* dw = this->blobs_[0]->mutable_cpu_diff();
    ParallelTasks(groups.index.size(), top[0]->count(), [&](std::int64_t group) {
      Dtype* sum = dw + std::int64_t{groups.index[group]} * length;
      for (int r = groups.begin[group]; r < groups.begin[group + 1]; ++r) {
        const Dtype* row = dy + std::int64_t{groups.rows[r]} * length;
#pragma omp simd
        for (int d = 0; d < length; ++d) sum[d] += row[d];
      }
    });
  }
  if (bias_term_ && this->param_propagate_down_[1]) {
    Dtype* db = this->blobs_[1]->mutable_cpu_diff();
    for (std::int64_t m = 0; m < M_; ++m) {
#pragma omp simd
      for (int d = 0; d < length; ++d) db[d] += dy[m * length + d];
    }
  }
}

INSTANTIATE_CLASS(EmbedLayer);
REGISTER_LAYER_CLASS(Embed);

}  // namespace caffe
