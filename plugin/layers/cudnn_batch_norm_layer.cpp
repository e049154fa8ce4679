#include "caffe/layers/cudnn_batch_norm_layer.hpp"

#include <algorithm>
#include <vector>

#include "caffe/filler.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/their_caffe.hpp"

namespace caffe {

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& /*top*/) {
  their::BatchNormSettings settings = their::SettingsOf(this->layer_param_);
  frozen_ = settings.frozen;
  momentum_ = settings.momentum;
  eps_ = settings.eps;
  CHECK_GE(bottom[0]->num_axes(), 2)
      << "layer '" << this->layer_param_.name() << "' (CuDNNBatchNorm): bottom of shape ("
      << bottom[0]->shape_string() << "), expected N C and more";
  const int channels = bottom[0]->shape(1);
  if (this->blobs_.empty()) {
    FillerParameter mean, variance;
    their::BatchNormSettings::SetConstant(&mean, 0);
    their::BatchNormSettings::SetConstant(&variance, frozen_ ? 1 : 0);
    const FillerParameter* fillers[] = {&settings.scale_filler, &settings.bias_filler,
                                        &mean, &variance};
    vector<int> shape(4, 1);
    shape[1] = channels;
    for (const FillerParameter* filler : fillers) {
      this->blobs_.push_back(shared_ptr<Blob<Dtype>>(new Blob<Dtype>(shape)));
      const shared_ptr<Filler<Dtype>> fill(GetFiller<Dtype>(*filler));
      fill->Fill(this->blobs_.back().get());
    }
  }
  bool fit = this->blobs_.size() == 4;
  for (size_t i = 0; fit && i < 4; ++i) fit = this->blobs_[i]->count() == channels;
  CHECK(fit) << "layer '" << this->layer_param_.name() << "' (CuDNNBatchNorm): got "
             << this->blobs_.size() << " weight blobs, the first of "
             << this->blobs_[0]->count() << " values, expected 4 of " << channels
             << ": scale, bias, running mean, running variance";
  // Statistics are not learned, whatever the net says.
  for (int i = 0; i < 4; ++i) {
    if (this->layer_param_.param_size() <= i) this->layer_param_.add_param();
    if (i < 2 && !frozen_) continue;
    this->layer_param_.mutable_param(i)->set_lr_mult(0);
    this->layer_param_.mutable_param(i)->set_decay_mult(0);
  }
  this->param_propagate_down_.resize(4, true);
  channels_.Reset(channels);
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  CHECK(bottom[0]->num_axes() >= 2 && bottom[0]->shape(1) == this->blobs_[0]->count())
      << "layer '" << this->layer_param_.name() << "' (CuDNNBatchNorm): bottom of shape ("
      << bottom[0]->shape_string() << "), expected " << this->blobs_[0]->count()
      << " channels at axis 1";
  if (bottom[0] != top[0]) top[0]->ReshapeLike(*bottom[0]);
  if (input_copy_.shape() != bottom[0]->shape()) input_kept_ = false;
}

// A net tells neither whether a later layer works in place on the top nor whether there
// will be a backward.
template <typename Dtype>
bool CuDNNBatchNormLayer<Dtype>::KeepsInput(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) const {
  if (bottom[0] != top[0]) return false;
  // With running values only the gradient of the scale needs the input.
  return !use_running() || this->param_propagate_down_[0];
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  const ChannelShape shape = {bottom[0]->shape(0), bottom[0]->shape(1),
                              bottom[0]->count(2)};
  const Dtype* x = bottom[0]->cpu_data();
  if (use_running()) {
    channels_.UseRunning(shape.channels, this->blobs_[2]->cpu_data(),
                         this->blobs_[3]->cpu_data(), eps_);
  } else {
    vector<double> mean, variance;
    BatchNormStatistics<1>(shape, x, &mean, &variance);
    channels_.UseBatch(mean, variance, static_cast<double>(shape.num) * shape.spatial,
                       momentum_, eps_, this->blobs_[2]->mutable_cpu_data(),
                       this->blobs_[3]->mutable_cpu_data());
  }
  input_kept_ = KeepsInput(bottom, top);
  if (input_kept_) {
    input_copy_.ReshapeLike(*bottom[0]);
    std::copy(x, x + bottom[0]->count(), input_copy_.mutable_cpu_data());
  }
  vector<Dtype> multiplier, shift;
  channels_.Affine(this->blobs_[0]->cpu_data(), this->blobs_[1]->cpu_data(), &multiplier,
                   &shift);
  BatchNormApply<1>(shape, x, multiplier, shift, false, top[0]->mutable_cpu_data());
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  if (bottom[0]->count() == 0) return;
  const ChannelShape shape = {bottom[0]->shape(0), bottom[0]->shape(1),
                              bottom[0]->count(2)};
  const Dtype* scale = this->blobs_[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  const bool from_output = bottom[0] == top[0] && !input_kept_;
  const Dtype* x = input_kept_ ? input_copy_.cpu_data() : bottom[0]->cpu_data();
  const Normalization<Dtype> normalization =
      from_output ? channels_.FromOutput(scale, this->blobs_[1]->cpu_data())
                  : channels_.FromInput();
  const bool learns = this->param_propagate_down_[0] || this->param_propagate_down_[1];
  vector<double> sum_dy(shape.channels, 0), sum_dy_x(shape.channels, 0);
  if (learns || (propagate_down[0] && !use_running())) {
    BatchNormBackwardSums<1, Dtype>(shape, x, dy, normalization, nullptr, &sum_dy,
                                    &sum_dy_x);
  }
  const vector<double>* sums[] = {&sum_dy_x, &sum_dy};
  for (int i = 0; i < 2; ++i) {
    if (!this->param_propagate_down_[i]) continue;
    AddChannelSums(*sums[i], this->blobs_[i]->mutable_cpu_diff());
  }
  if (!propagate_down[0]) return;
  const BatchNormGradient<Dtype> gradient =
      channels_.Gradient(scale, static_cast<double>(shape.num) * shape.spatial,
                         use_running(), normalization, sum_dy, sum_dy_x);
  // With running values x has no part in the gradient: dy stands in, so that an x that is
  // not finite does no harm.
  BatchNormBackwardData<1, Dtype>(shape, use_running() ? dy : x, dy, gradient.on_dy,
                                  gradient.on_x, gradient.constant, nullptr,
                                  bottom[0]->mutable_cpu_diff());
}

#ifdef CPU_ONLY
STUB_GPU(CuDNNBatchNormLayer);
#endif

INSTANTIATE_CLASS(CuDNNBatchNormLayer);
#ifndef SKNET_LAYERS_PLUGIN
REGISTER_LAYER_CLASS(CuDNNBatchNorm);
#endif

}  // namespace caffe
