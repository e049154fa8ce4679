#include "caffe/layers/scale_layer.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/filler.hpp"
#include "caffe/layers/channel_tiles.hpp"
#include "caffe/layers/coefficient_shape.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
void ScaleLayer<Dtype>::AddParameter(const vector<int>& shape,
                                     const FillerParameter& filler_param) {
  this->blobs_.push_back(std::make_shared<Blob<Dtype>>(shape));
  shared_ptr<Filler<Dtype>> filler(GetFiller<Dtype>(filler_param));
  filler->Fill(this->blobs_.back().get());
}

template <typename Dtype>
void ScaleLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& /*top*/) {
  const ScaleParameter& param = this->layer_param_.scale_param();
  const bool learned = bottom.size() == 1;
  const size_t expected = learned + param.bias_term();
  if (this->blobs_.empty()) {
    if (learned) {
      FillerParameter filler = param.filler();
      if (!param.has_filler()) filler.set_value(1);  // the default filler is constant 0
      const int axis = bottom[0]->CanonicalAxisIndex(param.axis());
      AddParameter(
          LearnedShape(this->layer_param_, bottom[0]->shape(), axis, param.num_axes()),
          filler);
    }
    if (param.bias_term()) {
      AddParameter(learned ? this->blobs_[0]->shape() : bottom[1]->shape(),
                   param.bias_filler());
    }
  } else if (this->blobs_.size() != expected) {
    throw ValueError(Str("it is given ", this->blobs_.size(),
                         " parameter blob(s), expected ", expected));
  }
  bias_param_id_ = param.bias_term() ? static_cast<int>(expected) - 1 : -1;
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void ScaleLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  const bool learned = bottom.size() == 1;
  const Blob<Dtype>& scale = learned ? *this->blobs_[0] : *bottom[1];
  axes_ = scale.num_axes();
  axis_ = axes_ == 0
              ? 0
              : bottom[0]->CanonicalAxisIndex(this->layer_param_.scale_param().axis());
  CheckCoefficientShape(
      this->layer_param_,
      learned ? string("the learned scale") : NameOfBottom(this->layer_param_, 1),
      scale.shape(), bottom[0]->shape(), axis_);
  if (bias_param_id_ >= 0) {
    CheckCoefficientShape(this->layer_param_, "the bias",
                          this->blobs_[bias_param_id_]->shape(), bottom[0]->shape(),
                          axis_);
  }
  if (top[0] != bottom[0]) top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
LayerTraits ScaleLayer<Dtype>::Traits() const {
  LayerTraits traits{
      .of = &typeid(ScaleLayer),
      .in_place = {InPlace::kChanges, InPlace::kRefused},
      .bottom_use = {this->in_place() ? DataUse::kNone : DataUse::kRead, DataUse::kRead},
      .top_use = {DataUse::kNone},
      .can_recompute = true,
      .device_only = true};
  const bool learned =
      static_cast<int>(this->blobs_.size()) == (bias_param_id_ < 0 ? 1 : 2);
  if (!learned || axis_ != 1 || axes_ != 1) return traits;
  traits.channel_affine = [this](vector<double>* multiplier, vector<double>* shift) {
    const Dtype* a = this->blobs_[0]->cpu_data();
    multiplier->assign(a, a + this->blobs_[0]->count());
    shift->assign(multiplier->size(), 0);
    if (bias_param_id_ < 0) return;
    const Dtype* b = this->blobs_[bias_param_id_]->cpu_data();
    shift->assign(b, b + multiplier->size());
  };
  return traits;
}

template <typename Dtype>
void ScaleLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const int block = CoefficientBlock(axis_, axes_, DataOf(bottom[0]).block());
  const bool learned = bottom.size() == 1;
  const Dtype* a = learned ? this->blobs_[0]->cpu_data() : bottom[1]->cpu_data();
  const Dtype* b =
      bias_param_id_ < 0 ? nullptr : this->blobs_[bias_param_id_]->cpu_data();
  const Dtype* x = DataOf(bottom[0]).Read(block);
  Dtype* out = DataOf(top[0]).WriteFrom(DataOf(bottom[0]), block);
  if (bottom[0] == top[0] && (!learned || this->param_propagate_down_[0])) {
    temp_.ReshapeLike(*bottom[0]);
    caffe_copy(bottom[0]->count(), x, DataOf(&temp_).Write(block));
  }
  const ChannelTiles tiles = CoefficientTiles(bottom[0]->shape(), axis_, axes_, block);
  ForEachTile(tiles, [=](std::int64_t first, std::int64_t channel) {
    if (b) {
      MapTile(tiles, [=](std::int64_t i, int j) {
        out[first + i] = a[channel + j] * x[first + i] + b[channel + j];
      });
    } else {
      MapTile(tiles, [=](std::int64_t i, int j) {
        out[first + i] = a[channel + j] * x[first + i];
      });
    }
  });
}

template <typename Dtype>
void ScaleLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const int block = CoefficientBlock(axis_, axes_, DiffOf(top[0]).block());
  const bool learned = bottom.size() == 1;
  const bool in_place = bottom[0] == top[0];
  Blob<Dtype>* scale = learned ? this->blobs_[0].get() : bottom[1];
  const bool wants_da = learned ? this->param_propagate_down_[0] : propagate_down[1];
  const bool wants_db =
      bias_param_id_ >= 0 && this->param_propagate_down_[bias_param_id_];
  const Dtype* a = scale->cpu_data();
  const Dtype* x = wants_da ? DataOf(in_place ? &temp_ : bottom[0]).Read(block) : nullptr;
  Dtype* da = wants_da ? scale->mutable_cpu_diff() : nullptr;
  // Gradients of parameters add up, those of bottoms start anew.
  if (da && !learned) caffe_set(scale->count(), Dtype(0), da);
  Dtype* db = wants_db ? this->blobs_[bias_param_id_]->mutable_cpu_diff() : nullptr;
  const Dtype* d_out = DiffOf(top[0]).Read(block);
  Dtype* dx =
      propagate_down[0] ? DiffOf(bottom[0]).WriteFrom(DiffOf(top[0]), block) : nullptr;
  const ChannelTiles tiles = CoefficientTiles(bottom[0]->shape(), axis_, axes_, block);
  // All gradients tile by tile: d_out comes from memory once. dx is last, since in
  // place it overwrites d_out.
  ForEachTileByCoefficient(tiles, [=](std::int64_t first, std::int64_t channel) {
    if (da) {
      SumTile(tiles, da + channel,
              [=](std::int64_t i, int) { return d_out[first + i] * x[first + i]; });
    }
    if (db) {
      SumTile(tiles, db + channel, [=](std::int64_t i, int) { return d_out[first + i]; });
    }
    if (dx) {
      MapTile(tiles, [=](std::int64_t i, int j) {
        dx[first + i] = a[channel + j] * d_out[first + i];
      });
    }
  });
}

INSTANTIATE_CLASS(ScaleLayer);
REGISTER_LAYER_CLASS(Scale);

}  // namespace caffe
