#include "caffe/layers/batch_norm_layer.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "caffe/layers/batch_norm_formulas.hpp"
#include "caffe/ops/batch_norm.hpp"

namespace caffe {

template <typename Dtype>
void BatchNormLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>&) {
  const BatchNormParameter& param = this->layer_param_.batch_norm_param();
  moving_average_fraction_ = param.moving_average_fraction();
  use_global_stats_ =
      param.has_use_global_stats() ? param.use_global_stats() : this->phase_ == TEST;
  channels_ = bottom[0]->num_axes() == 1 ? 1 : bottom[0]->shape(1);
  eps_ = param.eps();
  if (this->blobs_.empty()) {
    for (int size : {channels_, channels_, 1}) {
      this->blobs_.push_back(std::make_shared<Blob<Dtype>>(vector<int>{size}));
      caffe_set(size, Dtype(0), this->blobs_.back()->mutable_cpu_data());
    }
  } else if (this->blobs_.size() != 3) {
    throw ValueError(Str("got ", this->blobs_.size(),
                         " weight blob(s), expected 3: mean, "
                         "variance and their factor"));
  }
  for (int i = 0; i < 3; ++i) {
    const vector<int> shape = {i < 2 ? channels_ : 1};
    if (this->blobs_[i]->count() != shape[0]) {
      throw ValueError(Str("weights of shape ", ShapeText(this->blobs_[i]->shape()),
                           ", expected ", ShapeText(shape)));
    }
  }
  for (int i = 0; i < 3; ++i) {
    if (this->layer_param_.param_size() <= i) {
      this->layer_param_.add_param()->set_lr_mult(0);
    } else if (this->layer_param_.param(i).lr_mult() != 0) {
      throw ValueError(Str("param ", i, " has lr_mult ",
                           this->layer_param_.param(i).lr_mult(),
                           ", expected 0: statistics are not learned"));
    }
  }
  // Zeros, for a Backward without a Forward before it.
  used_mean_.Reshape({channels_});
  inverse_std_.Reshape({channels_});
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->num_axes() > 1 && bottom[0]->shape(1) != channels_) {
    throw ValueError(Str("bottom[0] has shape ", ShapeText(bottom[0]->shape()),
                         ", expected ", channels_, " channels at axis 1"));
  }
  if (bottom[0] != top[0]) top[0]->ReshapeLike(*bottom[0]);
  if (x_norm_.shape() != bottom[0]->shape()) x_norm_kept_ = false;
}

template <typename Dtype>
LayerTraits BatchNormLayer<Dtype>::Traits() const {
  // In place it reads a copy if the data will have changed.
  const bool reads = !use_global_stats_ && (!this->in_place() || options_.preserves(0));
  LayerTraits traits{.of = &typeid(BatchNormLayer),
                     .in_place = {InPlace::kChanges},
                     .bottom_use = {reads ? DataUse::kRead : DataUse::kNone},
                     .top_use = {DataUse::kNone},
                     .can_recompute = true,
                     .device_only = use_global_stats_};
  if (!use_global_stats_) return traits;
  traits.channel_affine = [this](vector<double>* multiplier, vector<double>* shift) {
    const Dtype* mean_sum = this->blobs_[0]->cpu_data();
    const Dtype* variance_sum = this->blobs_[1]->cpu_data();
    const Dtype factor = this->blobs_[2]->cpu_data()[0];
    multiplier->resize(channels_);
    shift->resize(channels_);
    for (int c = 0; c < channels_; ++c) {
      const auto used = ChannelStatistics::OfSums(mean_sum[c], variance_sum[c], factor);
      (*multiplier)[c] = used.InverseStd(eps_);
      (*shift)[c] = -used.mean * (*multiplier)[c];
    }
  };
  return traits;
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Recompute(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  if (Caffe::mode() == Caffe::GPU) return Recompute_gpu(bottom, top);
  const double* mean = used_mean_.cpu_data();
  const double* inverse_std = inverse_std_.cpu_data();
  vector<Dtype> multiplier(channels_), shift(channels_);
  for (int c = 0; c < channels_; ++c) {
    const ChannelMap<Dtype> map(mean[c], inverse_std[c]);
    multiplier[c] = map.multiplier;
    shift[c] = map.shift;
  }
  BatchNormApply(DataOf(bottom[0]), multiplier, shift, false, DataOf(top[0]));
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  double* used_mean = used_mean_.mutable_cpu_data();
  double* inverse_std = inverse_std_.mutable_cpu_data();
  if (use_global_stats_) {
    const Dtype* mean_sum = this->blobs_[0]->cpu_data();
    const Dtype* variance_sum = this->blobs_[1]->cpu_data();
    const Dtype factor = this->blobs_[2]->cpu_data()[0];
    for (int c = 0; c < channels_; ++c) {
      const auto used = ChannelStatistics::OfSums(mean_sum[c], variance_sum[c], factor);
      used_mean[c] = used.mean;
      inverse_std[c] = used.InverseStd(eps_);
    }
  } else {
    vector<double> mean, variance;
    BatchNormStatistics(DataOf(bottom[0]), &mean, &variance);
    const double count = static_cast<double>(bottom[0]->count()) / channels_;
    Dtype* mean_sum = this->blobs_[0]->mutable_cpu_data();
    Dtype* variance_sum = this->blobs_[1]->mutable_cpu_data();
    Dtype* factor = this->blobs_[2]->mutable_cpu_data();
    *factor = *factor * moving_average_fraction_ + 1;
    for (int c = 0; c < channels_; ++c) {
      const ChannelStatistics used{mean[c], variance[c]};
      used.AddTo(count, moving_average_fraction_, &mean_sum[c], &variance_sum[c]);
      used_mean[c] = used.mean;
      inverse_std[c] = used.InverseStd(eps_);
    }
  }
  Recompute(bottom, top);
  // In place the input is gone; the top replaces it, unless it will be gone as well.
  x_norm_kept_ = bottom[0] == top[0] && !use_global_stats_ && options_.runs_backward &&
                 !options_.preserves(0);
  if (x_norm_kept_) {
    x_norm_.ReshapeLike(*top[0]);
    const int block = DataOf(top[0]).block();
    std::copy_n(DataOf(top[0]).Read(block), top[0]->count(),
                DataOf(&x_norm_).Write(block));
  }
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || bottom[0]->count() == 0) return;
  const double* used_mean = used_mean_.cpu_data();
  const double* inverse_std = inverse_std_.cpu_data();
  vector<Dtype> on_dy(channels_), on_x(channels_), constant(channels_);
  const auto set = [&](int c, const ChannelGradient<Dtype>& gradient) {
    on_dy[c] = gradient.on_dy;
    on_x[c] = gradient.on_x;
    constant[c] = gradient.constant;
  };
  const bool in_place = bottom[0] == top[0];
  // With global statistics the values have no part in the gradient: dy stands in, so
  // that one that is not finite does no harm.
  const Tensor<Dtype> x = use_global_stats_ ? DiffOf(top[0])
                          : x_norm_kept_    ? DataOf(&x_norm_)
                                            : DataOf(bottom[0]);
  if (use_global_stats_) {
    for (int c = 0; c < channels_; ++c) set(c, ChannelGradient<Dtype>(inverse_std[c]));
  } else {
    Normalization<Dtype> from;
    for (int c = 0; c < channels_; ++c) {
      from.centre.push_back(in_place ? Dtype(0) : static_cast<Dtype>(used_mean[c]));
      from.inverse.push_back(in_place ? Dtype(1) : static_cast<Dtype>(inverse_std[c]));
    }
    vector<double> sum_dy, sum_dy_x;
    BatchNormBackwardSums<Dtype>(x, DiffOf(top[0]), from, nullptr, &sum_dy, &sum_dy_x);
    const double count = static_cast<double>(bottom[0]->count()) / channels_;
    for (int c = 0; c < channels_; ++c) {
      set(c, ChannelGradient<Dtype>(inverse_std[c], sum_dy[c], sum_dy_x[c], count,
                                    from.centre[c], from.inverse[c]));
    }
  }
  BatchNormBackwardData<Dtype>(x, DiffOf(top[0]), on_dy, on_x, constant, nullptr,
                               DiffOf(bottom[0]));
}

INSTANTIATE_CLASS(BatchNormLayer);
REGISTER_LAYER_CLASS(BatchNorm);

}  // namespace caffe
