#include "caffe/layers/softmax_loss_layer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "caffe/layers/labels.hpp"
#include "caffe/util/accurate_math.hpp"
#include "caffe/util/parallel.hpp"
#include "caffe/util/vector_math.hpp"

namespace caffe {
namespace {

// Neighbouring positions worked on at a time; their classes lie `inner` apart, so
// loops run over positions innermost.
constexpr int kWidth = 64;

// Calls body(first element of class 0, first position, positions) for all positions.
template <typename Body>
void ForEachGroup(const LabelledScores& scores, const Body& body) {
  const std::int64_t groups = (scores.inner + kWidth - 1) / kWidth;
  const std::int64_t sample = static_cast<std::int64_t>(scores.classes) * scores.inner;
  ParallelTasks(scores.outer * groups, scores.outer * sample, [&](std::int64_t task) {
    const std::int64_t n = task / groups;
    const std::int64_t s = task % groups * kWidth;
    body(n * sample + s, n * scores.inner + s,
         static_cast<int>(std::min<std::int64_t>(kWidth, scores.inner - s)));
  });
}

}  // namespace

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  const LossParameter& param = this->layer_param_.loss_param();
  has_ignore_label_ = param.has_ignore_label();
  ignore_label_ = param.ignore_label();
  normalization_ = this->NormalizationMode(LossParameter_NormalizationMode_VALID);
  label_smoothing_ = param.label_smoothing();
}

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  softmax_axis_ =
      bottom[0]->CanonicalAxisIndex(this->layer_param_.softmax_param().axis());
  const LabelledScores scores = CheckedScores(this->layer_param_, bottom, softmax_axis_);
  outer_num_ = scores.outer;
  inner_num_ = scores.inner;
  prob_.ReshapeLike(*bottom[0]);
  labels_.Reshape({outer_num_, inner_num_});
  if (top.size() > 1) top[1]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  const LabelledScores scores{outer_num_, bottom[0]->shape(softmax_axis_), inner_num_};
  valid_count_ = ReadLabels(this->layer_param_, *bottom[1], scores,
                            {scores.classes, has_ignore_label_, ignore_label_},
                            labels_.mutable_cpu_data());
  const int* labels = labels_.cpu_data();
  const Dtype* bottom_data = bottom[0]->cpu_data();
  Dtype* prob = prob_.mutable_cpu_data();
  const double smoothing = label_smoothing_;
  const std::int64_t stride = inner_num_;
  const int classes = scores.classes;
  vector<double> losses(labels_.count(), 0);

  ForEachGroup(scores, [&](std::int64_t first, std::int64_t position, int width) {
    const Dtype* x = bottom_data + first;
    Dtype* p = prob + first;
    Dtype largest[kWidth];
    double sum[kWidth] = {}, sum_x[kWidth] = {};
    std::copy_n(x, width, largest);
    for (int c = 1; c < classes; ++c) {
      for (int s = 0; s < width; ++s) {
        largest[s] = std::max(largest[s], x[c * stride + s]);
      }
    }
    // From here on x is taken relative to the largest, so exp cannot overflow.
    for (int c = 0; c < classes; ++c) {
#pragma omp simd
      for (int s = 0; s < width; ++s) {
        const Split<Dtype> shifted = SplitDifference(x[c * stride + s], largest[s]);
        p[c * stride + s] = Exp(shifted);
        sum[s] += p[c * stride + s];
        sum_x[s] += shifted.value;
      }
    }
    for (int c = 0; c < classes; ++c) {
      for (int s = 0; s < width; ++s) p[c * stride + s] /= static_cast<Dtype>(sum[s]);
    }
    for (int s = 0; s < width; ++s) {
      const int label = labels[position + s];
      if (label < 0) continue;
      const double own = static_cast<double>(x[label * stride + s]) - largest[s];
      double expected_x = own;
      // Not 0 * sum_x: a score may be -inf.
      if (smoothing > 0)
        expected_x = (1 - smoothing) * own + smoothing / classes * sum_x[s];
      losses[position + s] = std::log(sum[s]) - expected_x;
    }
  });

  double loss = 0;
  for (const double l : losses) loss += l;
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(
      loss / this->LossNormalizer(normalization_, outer_num_, inner_num_, valid_count_));
  if (top.size() > 1) top[1]->ShareData(prob_);
}

template <typename Dtype>
void SoftmaxWithLossLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const LabelledScores scores{outer_num_, bottom[0]->shape(softmax_axis_), inner_num_};
  const Dtype* prob = prob_.cpu_data();
  const int* labels = labels_.cpu_data();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
  const Dtype scale =
      top[0]->cpu_diff()[0] /
      this->LossNormalizer(normalization_, outer_num_, inner_num_, valid_count_);
  const int classes = scores.classes;
  const std::int64_t stride = inner_num_;
  const Dtype background = static_cast<Dtype>(label_smoothing_ / classes);
  const Dtype foreground = static_cast<Dtype>(1 - label_smoothing_);

  ForEachGroup(scores, [&](std::int64_t first, std::int64_t position, int width) {
    const Dtype* p = prob + first;
    Dtype* dx = bottom_diff + first;
    Dtype factor[kWidth];
    for (int s = 0; s < width; ++s) factor[s] = labels[position + s] < 0 ? 0 : scale;
    for (int c = 0; c < classes; ++c) {
      for (int s = 0; s < width; ++s) {
        dx[c * stride + s] = factor[s] * (p[c * stride + s] - background);
      }
    }
    for (int s = 0; s < width; ++s) {
      const int label = labels[position + s];
      if (label >= 0) dx[label * stride + s] -= factor[s] * foreground;
    }
  });
}

INSTANTIATE_CLASS(SoftmaxWithLossLayer);
REGISTER_LAYER_CLASS(SoftmaxWithLoss);

}  // namespace caffe
