#include "caffe/layers/sigmoid_cross_entropy_loss_layer.hpp"

#include <cstdint>

#include "caffe/layers/labels.hpp"
#include "caffe/layers/sigmoid_cross_entropy_functor.hpp"
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
  const SigmoidCrossEntropy<Dtype> entropy{has_ignore_label_, ignore_label_};
  int valid = 0;
  for (int i = 0; i < count; ++i) valid += !entropy.IsIgnored(target[i]);
  const double loss = ParallelSum(
      count, [=](std::int64_t i) { return entropy.Loss(scores[i], target[i]); });
  normalizer_ = this->LossNormalizer(normalization_, bottom[0]->shape(0),
                                     bottom[0]->count(1), valid);
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(loss / normalizer_);
}

template <typename Dtype>
void SigmoidCrossEntropyLossLayer<Dtype>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("targets", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const Dtype* x = bottom[0]->cpu_data();
  const Dtype* target = bottom[1]->cpu_data();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  const Dtype scale = top[0]->cpu_diff()[0] / normalizer_;
  const SigmoidCrossEntropy<Dtype> entropy{has_ignore_label_, ignore_label_};
  ParallelChunks(bottom[0]->count(), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      dx[i] = entropy.Gradient(x[i], target[i], scale);
    }
  });
}

INSTANTIATE_CLASS(SigmoidCrossEntropyLossLayer);
REGISTER_LAYER_CLASS(SigmoidCrossEntropyLoss);

}  // namespace caffe
