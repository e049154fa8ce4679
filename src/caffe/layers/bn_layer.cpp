#include "caffe/layers/bn_layer.hpp"

#include <memory>

#include "caffe/filler.hpp"
#include "caffe/ops/batch_norm.hpp"

namespace caffe {
namespace {

constexpr double kSegNetEps = 1e-9;

enum class Form { kSegNet, kPspNet, kYjxiong };

Form FormOf(const LayerParameter& layer) {
  const BNParameter& param = layer.bn_param();
  if ((param.has_scale_filler() && param.has_slope_filler()) ||
      (param.has_shift_filler() && param.has_bias_filler())) {
    throw ValueError(
        "bn_param has two fillers for one blob, expected scale_filler and "
        "shift_filler, or slope_filler and bias_filler");
  }
  const bool yjxiong = param.has_slope_filler() || param.has_bias_filler() ||
                       param.has_momentum() || param.has_eps() || param.has_frozen();
  const bool pspnet =
      param.has_moving_average() || param.has_decay() || param.has_var_eps();
  if (yjxiong + pspnet + param.has_bn_mode() > 1) {
    throw ValueError(
        "bn_param has fields of several Caffes' layers, expected those of "
        "one: bn_mode; moving_average, decay and var_eps; or momentum, eps "
        "and frozen");
  }
  if (yjxiong) return Form::kYjxiong;
  if (param.has_bn_mode()) return Form::kSegNet;
  const bool four = layer.param_size() > 2 || layer.blobs_size() > 2;
  return pspnet || four ? Form::kPspNet : Form::kSegNet;
}

}  // namespace

template <typename Dtype>
void BNLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& /*top*/) {
  const BNParameter& param = this->layer_param_.bn_param();
  const Form form = FormOf(this->layer_param_);
  if (param.axis() != 1) {
    throw NotImplementedFailure(
        Str("bn_param.axis is ", param.axis(), ", expected 1, the channels"));
  }
  if (bottom[0]->num_axes() < 2) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected (N, C, ...)"));
  }
  const int channels = bottom[0]->shape(1);
  const bool inference = param.bn_mode() == BNParameter_BNMode_INFERENCE;
  const size_t blobs = form == Form::kSegNet ? 2 : 4;
  if (form == Form::kYjxiong) {
    this->frozen_ = param.frozen();
    this->momentum_ = param.momentum();
    this->eps_ = param.eps();
  } else if (form == Form::kPspNet) {
    this->running_in_test_ = param.moving_average();
    this->momentum_ = 1 - static_cast<double>(param.decay());
    this->eps_ = param.var_eps();
  } else {
    // Of values that have no blob: the batch's, or those with which nothing is done.
    this->running_in_test_ = false;
    this->frozen_ = inference;
    this->momentum_ = 1;
    this->eps_ = inference ? 0 : kSegNetEps;
    for (int i = 0; i < 2; ++i) {
      this->statistics_[i] = std::make_shared<Blob<Dtype>>(vector<int>{channels});
      caffe_set(channels, Dtype(i), this->statistics_[i]->mutable_cpu_data());
    }
  }
  // What TEST sees of a batch does not enter the running values.
  if (this->phase_ == TEST) this->momentum_ = 1;

  if (this->blobs_.empty()) {
    FillerParameter fillers[4];
    fillers[0] = param.has_slope_filler() ? param.slope_filler() : param.scale_filler();
    fillers[1] = param.has_bias_filler() ? param.bias_filler() : param.shift_filler();
    if (!param.has_slope_filler() && !param.has_scale_filler()) fillers[0].set_value(1);
    fillers[3].set_value(this->frozen_ ? 1 : 0);  // of the constant filler
    for (size_t i = 0; i < blobs; ++i) {
      this->blobs_.push_back(
          std::make_shared<Blob<Dtype>>(vector<int>{1, channels, 1, 1}));
      std::unique_ptr<Filler<Dtype>>(GetFiller<Dtype>(fillers[i]))
          ->Fill(this->blobs_[i].get());
    }
  }
  if (this->blobs_.size() != blobs) {
    throw ValueError(Str("got ", this->blobs_.size(), " weight blob(s), expected ", blobs,
                         blobs == 2 ? ": scale and shift"
                                    : ": scale, shift, running mean, running variance"));
  }
  for (const auto& blob : this->blobs_) {
    if (blob->count() == channels) continue;
    throw ValueError(Str("weights of shape ", ShapeText(blob->shape()), ", expected ",
                         ShapeText({1, channels, 1, 1})));
  }
  for (int i = 0; i < static_cast<int>(blobs); ++i) {
    if (this->layer_param_.param_size() <= i) this->layer_param_.add_param();
    const bool learned = i < 2 && !(this->frozen_ && form == Form::kYjxiong);
    if (learned) continue;
    this->layer_param_.mutable_param(i)->set_lr_mult(0);
    this->layer_param_.mutable_param(i)->set_decay_mult(0);
  }
  this->param_propagate_down_.resize(blobs, true);
  this->channels_ = std::make_shared<BatchNormChannels<Dtype>>();
  this->channels_->Reset(channels);
}

template <typename Dtype>
LayerTraits BNLayer<Dtype>::Traits() const {
  LayerTraits traits = CuDNNBatchNormLayer<Dtype>::Traits();
  traits.of = &typeid(BNLayer);
  return traits;
}

INSTANTIATE_CLASS(BNLayer);
REGISTER_LAYER_CLASS(BN);

}  // namespace caffe
