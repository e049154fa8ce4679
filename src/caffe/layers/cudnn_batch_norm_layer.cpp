#include "caffe/layers/cudnn_batch_norm_layer.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "caffe/filler.hpp"
#include "caffe/ops/batch_norm.hpp"

namespace caffe {
namespace {

// cuDNN's CUDNN_BN_MIN_EPSILON of the released models' day.
constexpr double kMinEps = 1e-5;

FillerParameter FillerOr(bool given, const FillerParameter& filler, float fallback) {
  if (given) return filler;
  FillerParameter constant;
  constant.set_type("constant");
  constant.set_value(fallback);
  return constant;
}

}  // namespace

template <typename Dtype>
CuDNNBatchNormLayer<Dtype>::~CuDNNBatchNormLayer() = default;

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>&) {
  const CuDNNBatchNormParameter& param = this->layer_param_.cudnn_batch_norm_param();
  frozen_ = param.frozen();
  momentum_ = param.momentum();
  eps_ = std::max<double>(param.eps(), kMinEps);
  if (bottom[0]->num_axes() < 2) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected (N, C, ...)"));
  }
  const vector<int> shape = {1, bottom[0]->shape(1), 1, 1};
  if (this->blobs_.empty()) {
    const FillerParameter fillers[] = {
        FillerOr(param.has_scale_filler(), param.scale_filler(), 1),
        FillerOr(param.has_bias_filler(), param.bias_filler(), 0), FillerOr(false, {}, 0),
        FillerOr(false, {}, frozen_ ? 1 : 0)};
    for (const FillerParameter& filler : fillers) {
      this->blobs_.push_back(std::make_shared<Blob<Dtype>>(shape));
      std::unique_ptr<Filler<Dtype>>(GetFiller<Dtype>(filler))
          ->Fill(this->blobs_.back().get());
    }
  } else if (this->blobs_.size() != 4) {
    throw ValueError(Str("got ", this->blobs_.size(),
                         " weight blob(s), expected 4: scale, "
                         "bias, running mean, running variance"));
  }
  for (const auto& blob : this->blobs_) {
    if (blob->count() != shape[1]) {
      throw ValueError(Str("weights of shape ", ShapeText(blob->shape()), ", expected ",
                           ShapeText(shape)));
    }
  }
  // Statistics are not learned, whatever the prototxt says.
  for (int i = 0; i < 4; ++i) {
    if (this->layer_param_.param_size() <= i) this->layer_param_.add_param();
    if (i < 2 && !frozen_) continue;
    this->layer_param_.mutable_param(i)->set_lr_mult(0);
    this->layer_param_.mutable_param(i)->set_decay_mult(0);
  }
  this->param_propagate_down_.resize(4, true);
  // For a Backward without a Forward before it.
  channels_ = std::make_shared<BatchNormChannels<Dtype>>();
  channels_->Reset(shape[1]);
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  const int channels = this->blobs_[0]->count();
  if (bottom[0]->num_axes() < 2 || bottom[0]->shape(1) != channels) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected ", channels, " channels at axis 1"));
  }
  if (bottom[0] != top[0]) top[0]->ReshapeLike(*bottom[0]);
  if (input_copy_.shape() != bottom[0]->shape()) input_kept_ = false;
}

// In place the input is gone after forward. It can be recovered from the output if
// that stays as it is and no channel was multiplied by (nearly) nothing.
template <typename Dtype>
bool CuDNNBatchNormLayer<Dtype>::KeepsInput(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) const {
  if (bottom[0] != top[0] || !options_.runs_backward) return false;
  // With running values only the gradient of the scale needs the input.
  if (use_running() && !this->param_propagate_down_[0]) return false;
  if (!options_.preserves(0)) return true;
  const Dtype* scale = this->blobs_[0]->cpu_data();
  return std::any_of(scale, scale + this->blobs_[0]->count(),
                     [](Dtype s) { return std::fabs(s) < Dtype(1e-3); });
}

template <typename Dtype>
LayerTraits CuDNNBatchNormLayer<Dtype>::Traits() const {
  // In place it reads a copy if the data will have changed.
  const bool reads = !this->in_place() || options_.preserves(0);
  LayerTraits traits{.of = &typeid(CuDNNBatchNormLayer),
                     .in_place = {InPlace::kChanges},
                     .bottom_use = {reads ? DataUse::kRead : DataUse::kNone},
                     .top_use = {DataUse::kNone},
                     .can_recompute = true,
                     .device_only = use_running()};
  if (!use_running()) return traits;
  traits.channel_affine = [this](vector<double>* multiplier, vector<double>* shift) {
    const int channels = this->blobs_[0]->count();
    const Dtype* scale = this->blobs_[0]->cpu_data();
    const Dtype* bias = this->blobs_[1]->cpu_data();
    const Dtype* mean = running(0)->cpu_data();
    const Dtype* variance = running(1)->cpu_data();
    multiplier->resize(channels);
    shift->resize(channels);
    for (int c = 0; c < channels; ++c) {
      (*multiplier)[c] = scale[c] / std::sqrt(variance[c] + eps_);
      (*shift)[c] = bias[c] - mean[c] * (*multiplier)[c];
    }
  };
  return traits;
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Recompute(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  if (Caffe::mode() == Caffe::GPU) return Recompute_gpu(bottom, top);
  vector<Dtype> multiplier, shift;
  channels_->Affine(this->blobs_[0]->cpu_data(), this->blobs_[1]->cpu_data(), &multiplier,
                    &shift);
  BatchNormApply(DataOf(bottom[0]), multiplier, shift, relu_, DataOf(top[0]));
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  const int channels = this->blobs_[0]->count();
  const Tensor<Dtype> src = DataOf(bottom[0]);
  if (bottom[0]->count() == 0) return;
  if (use_running()) {
    channels_->UseRunning(channels, running(0)->cpu_data(), running(1)->cpu_data(), eps_);
  } else {
    vector<double> mean, variance;
    BatchNormStatistics(src, &mean, &variance);
    channels_->UseBatch(
        mean, variance, static_cast<double>(bottom[0]->count()) / channels, momentum_,
        eps_, running(0)->mutable_cpu_data(), running(1)->mutable_cpu_data());
  }
  input_kept_ = KeepsInput(bottom, top);
  if (input_kept_) {
    input_copy_.ReshapeLike(*bottom[0]);
    const int block = src.block();
    std::copy_n(src.Read(block), bottom[0]->count(), DataOf(&input_copy_).Write(block));
  }
  Recompute(bottom, top);
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  const int channels = this->blobs_[0]->count();
  if (bottom[0]->count() == 0) return;
  const Dtype* scale = this->blobs_[0]->cpu_data();
  const Dtype* bias = this->blobs_[1]->cpu_data();
  const bool from_output = bottom[0] == top[0] && !input_kept_;
  const Tensor<Dtype> x = input_kept_ ? DataOf(&input_copy_) : DataOf(bottom[0]);
  const Normalization<Dtype> normalization =
      from_output ? channels_->FromOutput(scale, bias) : channels_->FromInput();
  ReluMask<Dtype> mask;
  channels_->Affine(scale, bias, &mask.multiplier, &mask.shift);
  const ReluMask<Dtype>* active = relu_ ? &mask : nullptr;

  const bool learns = this->param_propagate_down_[0] || this->param_propagate_down_[1];
  vector<double> sum_dy(channels, 0), sum_dy_x(channels, 0);
  if (learns || (propagate_down[0] && !use_running())) {
    BatchNormBackwardSums(x, DiffOf(top[0]), normalization, active, &sum_dy, &sum_dy_x);
  }
  const vector<double>* sums[] = {&sum_dy_x, &sum_dy};
  for (int i = 0; i < 2; ++i) {
    if (!this->param_propagate_down_[i]) continue;
    AddChannelSums(*sums[i], this->blobs_[i]->mutable_cpu_diff());
  }
  if (!propagate_down[0]) return;

  const double count = static_cast<double>(bottom[0]->count()) / channels;
  const BatchNormGradient<Dtype> gradient =
      channels_->Gradient(scale, count, use_running(), normalization, sum_dy, sum_dy_x);
  // With running values and no ReLU x has no part in the gradient: dy stands in, so
  // that it need not be read, and one that is not finite does no harm.
  const bool needs_x = !use_running() || active;
  BatchNormBackwardData(needs_x ? x : DiffOf(top[0]), DiffOf(top[0]), gradient.on_dy,
                        gradient.on_x, gradient.constant, active, DiffOf(bottom[0]));
}

INSTANTIATE_CLASS(CuDNNBatchNormLayer);
REGISTER_LAYER_CLASS(CuDNNBatchNorm);

}  // namespace caffe
