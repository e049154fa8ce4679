#include "caffe/layers/contrastive_loss_layer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "caffe/layers/labels.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void ContrastiveLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  if (bottom[0]->count() != bottom[1]->count()) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), " (b): shape ",
                         ShapeText(bottom[1]->shape()), ", expected ",
                         ShapeText(bottom[0]->shape()), " like bottom[0] (a)"));
  }
  const int pairs = bottom[0]->shape(0);
  if (bottom[2]->count() != pairs) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 2), " (similar): shape ",
                         ShapeText(bottom[2]->shape()), ", expected ", pairs,
                         " values, one for every pair"));
  }
  diff_.ReshapeLike(*bottom[0]);
  dist_sq_.Reshape({pairs});
  factors_.Reshape({pairs});
}

template <typename Dtype>
Dtype ContrastiveLossLayer<Dtype>::Loss(const Blob<Dtype>& similar) const {
  const ContrastiveLossParameter& param = this->layer_param_.contrastive_loss_param();
  const Dtype* y = similar.cpu_data();
  const Dtype* squares = dist_sq_.cpu_data();
  const double margin = param.margin();
  double loss = 0;
  for (int n = 0; n < dist_sq_.count(); ++n) {
    const double square = squares[n];
    if (static_cast<int>(y[n]) != 0) {
      loss += square;
    } else if (param.legacy_version()) {
      loss += std::max(margin - square, 0.0);
    } else {
      const double missing = std::max(margin - std::sqrt(square), 0.0);
      loss += missing * missing;
    }
  }
  return static_cast<Dtype>(loss / dist_sq_.count() / 2);
}

template <typename Dtype>
void ContrastiveLossLayer<Dtype>::SetFactors(const Blob<Dtype>& similar,
                                             Dtype loss_weight) {
  const ContrastiveLossParameter& param = this->layer_param_.contrastive_loss_param();
  const Dtype* y = similar.cpu_data();
  const Dtype* squares = dist_sq_.cpu_data();
  Dtype* factors = factors_.mutable_cpu_data();
  const Dtype margin = param.margin(), scale = loss_weight / dist_sq_.count();
  for (int n = 0; n < dist_sq_.count(); ++n) {
    if (static_cast<int>(y[n]) != 0) {
      factors[n] = scale;
    } else if (param.legacy_version()) {
      factors[n] = margin > squares[n] ? -scale : Dtype(0);
    } else {
      const Dtype distance = std::sqrt(squares[n]);
      factors[n] = margin > distance
                       ? -scale * (margin - distance) / (distance + Dtype(1e-4))
                       : Dtype(0);
    }
  }
}

template <typename Dtype>
void ContrastiveLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  const Dtype* a = bottom[0]->cpu_data();
  const Dtype* b = bottom[1]->cpu_data();
  Dtype* diff = diff_.mutable_cpu_data();
  Dtype* squares = dist_sq_.mutable_cpu_data();
  const std::int64_t length = diff_.count(1);
  ParallelTasks(dist_sq_.count(), diff_.count(), [=](std::int64_t n) {
    const std::int64_t begin = n * length, end = begin + length;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) diff[i] = a[i] - b[i];
    squares[n] = static_cast<Dtype>(SumOf(begin, end, [=](std::int64_t i) {
      return static_cast<double>(diff[i]) * diff[i];
    }));
  });
  top[0]->mutable_cpu_data()[0] = Loss(*bottom[2]);
}

template <typename Dtype>
void ContrastiveLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down, 2);
  SetFactors(*bottom[2], top[0]->cpu_diff()[0]);
  const Dtype* diff = diff_.cpu_data();
  const Dtype* factors = factors_.cpu_data();
  const std::int64_t length = diff_.count(1);
  for (int side = 0; side < 2; ++side) {
    if (!propagate_down[side]) continue;
    Dtype* to = bottom[side]->mutable_cpu_diff();
    ParallelTasks(factors_.count(), diff_.count(), [=](std::int64_t n) {
      const Dtype factor = side == 0 ? factors[n] : -factors[n];
      const std::int64_t end = (n + 1) * length;
#pragma omp simd
      for (std::int64_t i = n * length; i < end; ++i) to[i] = factor * diff[i];
    });
  }
}

INSTANTIATE_CLASS(ContrastiveLossLayer);
REGISTER_LAYER_CLASS(ContrastiveLoss);

}  // namespace caffe
