#include "caffe/layers/euclidean_loss_layer.hpp"

#include <cstdint>

#include "caffe/ops/tensor.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {
namespace {

// Both bottoms can stay packed only if an element has the same place in both.
template <typename Dtype>
int BlockOfBoth(const vector<Blob<Dtype>*>& bottom) {
  return bottom[0]->shape() == bottom[1]->shape() ? DataOf(bottom[0]).block() : 1;
}

}  // namespace

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  if (bottom[0]->count() != bottom[1]->count()) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": shape ",
                         ShapeText(bottom[1]->shape()), ", expected as many elements as ",
                         "bottom[0] of shape ", ShapeText(bottom[0]->shape())));
  }
}

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  const int block = BlockOfBoth(bottom);
  const Dtype* a = DataOf(bottom[0]).Read(block);
  const Dtype* b = DataOf(bottom[1]).Read(block);
  const double sum = ParallelSum(bottom[0]->count(), [=](std::int64_t i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    return difference * difference;
  });
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(sum / bottom[0]->shape(0) / 2);
}

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                             const vector<bool>& propagate_down,
                                             const vector<Blob<Dtype>*>& bottom) {
  const int block = BlockOfBoth(bottom);
  const Dtype* a = DataOf(bottom[0]).Read(block);
  const Dtype* b = DataOf(bottom[1]).Read(block);
  const Dtype scale = top[0]->cpu_diff()[0] / bottom[0]->shape(0);
  Dtype* da = propagate_down[0] ? DiffOf(bottom[0]).Write(block) : nullptr;
  Dtype* db = propagate_down[1] ? DiffOf(bottom[1]).Write(block) : nullptr;
  ParallelChunks(bottom[0]->count(), [=](std::int64_t begin, std::int64_t end) {
    if (da) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) da[i] = scale * (a[i] - b[i]);
    }
    if (db) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) db[i] = scale * (b[i] - a[i]);
    }
  });
}

INSTANTIATE_CLASS(EuclideanLossLayer);
REGISTER_LAYER_CLASS(EuclideanLoss);

}  // namespace caffe
