#include "caffe/layers/batch_norm_layer.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

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
  // For a Backward without a Forward before it.
  used_mean_.assign(channels_, 0);
  inverse_std_.assign(channels_, 0);
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
                     .can_recompute = true};
  if (!use_global_stats_) return traits;
  traits.channel_affine = [this](vector<double>* multiplier, vector<double>* shift) {
    const double factor = this->blobs_[2]->cpu_data()[0];
    const double unit = factor == 0 ? 0 : 1 / factor;
    multiplier->resize(channels_);
    shift->resize(channels_);
    for (int c = 0; c < channels_; ++c) {
      (*multiplier)[c] = 1 / std::sqrt(this->blobs_[1]->cpu_data()[c] * unit + eps_);
      (*shift)[c] = -this->blobs_[0]->cpu_data()[c] * unit * (*multiplier)[c];
    }
  };
  return traits;
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Recompute(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  vector<Dtype> multiplier(channels_), shift(channels_);
  for (int c = 0; c < channels_; ++c) {
    multiplier[c] = static_cast<Dtype>(inverse_std_[c]);
    shift[c] = static_cast<Dtype>(-used_mean_[c] * inverse_std_[c]);
  }
  BatchNormApply(DataOf(bottom[0]), multiplier, shift, false, DataOf(top[0]));
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  const Tensor<Dtype> src = DataOf(bottom[0]);
  vector<double> variance(channels_);
  if (use_global_stats_) {
    const Dtype factor = this->blobs_[2]->cpu_data()[0];
    const double unit = factor == 0 ? 0 : 1 / static_cast<double>(factor);
    used_mean_.resize(channels_);
    for (int c = 0; c < channels_; ++c) {
      used_mean_[c] = this->blobs_[0]->cpu_data()[c] * unit;
      variance[c] = this->blobs_[1]->cpu_data()[c] * unit;
    }
  } else {
    BatchNormStatistics(src, &used_mean_, &variance);
    const double count = static_cast<double>(bottom[0]->count()) / channels_;
    const double unbias = count > 1 ? count / (count - 1) : 1;
    Dtype* mean_sum = this->blobs_[0]->mutable_cpu_data();
    Dtype* variance_sum = this->blobs_[1]->mutable_cpu_data();
    Dtype* factor = this->blobs_[2]->mutable_cpu_data();
    *factor = *factor * moving_average_fraction_ + 1;
    for (int c = 0; c < channels_; ++c) {
      mean_sum[c] =
          static_cast<Dtype>(used_mean_[c] + moving_average_fraction_ * mean_sum[c]);
      variance_sum[c] = static_cast<Dtype>(unbias * variance[c] +
                                           moving_average_fraction_ * variance_sum[c]);
    }
  }
  inverse_std_.resize(channels_);
  for (int c = 0; c < channels_; ++c) inverse_std_[c] = 1 / std::sqrt(variance[c] + eps_);
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
  vector<Dtype> on_dy(channels_), on_x(channels_, 0), constant(channels_, 0);
  for (int c = 0; c < channels_; ++c) on_dy[c] = static_cast<Dtype>(inverse_std_[c]);
  const bool in_place = bottom[0] == top[0];
  // With global statistics the values have no part in the gradient: dy stands in, so
  // that one that is not finite does no harm.
  const Tensor<Dtype> x = use_global_stats_ ? DiffOf(top[0])
                          : x_norm_kept_    ? DataOf(&x_norm_)
                                            : DataOf(bottom[0]);
  if (!use_global_stats_) {
    Normalization<Dtype> normalization;
    for (int c = 0; c < channels_; ++c) {
      normalization.centre.push_back(in_place ? Dtype(0)
                                              : static_cast<Dtype>(used_mean_[c]));
      normalization.inverse.push_back(in_place ? Dtype(1)
                                               : static_cast<Dtype>(inverse_std_[c]));
    }
    vector<double> sum_dy, sum_dy_x;
    BatchNormBackwardSums<Dtype>(x, DiffOf(top[0]), normalization, nullptr, &sum_dy,
                                 &sum_dy_x);
    const double count = static_cast<double>(bottom[0]->count()) / channels_;
    for (int c = 0; c < channels_; ++c) {
      const double slope =
          inverse_std_[c] * sum_dy_x[c] / count * normalization.inverse[c];
      on_x[c] = static_cast<Dtype>(-slope);
      constant[c] = static_cast<Dtype>(slope * normalization.centre[c] -
                                       inverse_std_[c] * sum_dy[c] / count);
    }
  }
  BatchNormBackwardData<Dtype>(x, DiffOf(top[0]), on_dy, on_x, constant, nullptr,
                               DiffOf(bottom[0]));
}

INSTANTIATE_CLASS(BatchNormLayer);
REGISTER_LAYER_CLASS(BatchNorm);

}  // namespace caffe
