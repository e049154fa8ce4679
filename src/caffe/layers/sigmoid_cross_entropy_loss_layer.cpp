#include "caffe/layers/sigmoid_cross_entropy_loss_layer.hpp"

#include <cmath>
#include <cstdint>

#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void SigmoidCrossEntropyLossLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                                     const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::LayerSetUp(bottom, top);
  const LossParameter& param = this->layer_param_.loss_param();
  has_ignore_label_ = param.has_ignore_label();
  ignore_label_ = param.ignore_label();
  normalization_ = this->NormalizationMode(LossParameter_NormalizationMode_BATCH_SIZE);
}

template <typename Dtype>
void SigmoidCrossEntropyLossLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                                  const vector<Blob<Dtype>*>& top) {
  LossLayer<Dtype>::Reshape(bottom, top);
  if (bottom[0]->count() != bottom[1]->count()) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 1), ": shape ",
                         ShapeText(bottom[1]->shape()), ", expected as many elements as ",
                         "bottom[0] of shape ", ShapeText(bottom[0]->shape())));
  }
}

template <typename Dtype>
void SigmoidCrossEntropyLossLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                                      const vector<Blob<Dtype>*>& top) {
  const Dtype* scores = bottom[0]->cpu_data();
  const Dtype* target = bottom[1]->cpu_data();
  const int count = bottom[0]->count();
  int valid = 0;
  for (int i = 0; i < count; ++i) valid += !IsIgnored(target[i]);
  // With z = |x|, -log sigmoid(x) = max(-x, 0) + log(1 + exp(-z)), which neither
  // overflows nor cancels.
  const double loss = ParallelSum(count, [=, this](std::int64_t i) {
    if (IsIgnored(target[i])) return 0.0;
    const double x = scores[i];
    return std::fmax(x, 0.0) - x * target[i] + std::log1p(std::exp(-std::fabs(x)));
  });
  normalizer_ = this->LossNormalizer(normalization_, bottom[0]->shape(0),
                                     bottom[0]->count(1), valid);
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(loss / normalizer_);
}

template <typename Dtype>
void SigmoidCrossEntropyLossLayer<Dtype>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  if (propagate_down[1]) {
    throw ValueError(
        Str(NameOfBottom(this->layer_param_, 1),
            ": targets have no gradient; set propagate_down: false for them"));
  }
  if (!propagate_down[0]) return;
  const Dtype* x = bottom[0]->cpu_data();
  const Dtype* target = bottom[1]->cpu_data();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const Dtype scale = top[0]->cpu_diff()[0] / normalizer_;
  ParallelChunks(bottom[0]->count(), [=, this](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Dtype sigmoid = Dtype(0.5) * std::tanh(Dtype(0.5) * x[i]) + Dtype(0.5);
      dx[i] = IsIgnored(target[i]) ? Dtype(0) : scale * (sigmoid - target[i]);
    }
  });
}

INSTANTIATE_CLASS(SigmoidCrossEntropyLossLayer);
REGISTER_LAYER_CLASS(SigmoidCrossEntropyLoss);

}  // namespace caffe
