#include "caffe/layers/bias_layer.hpp"

#include <cstdint>

#include "caffe/filler.hpp"
#include "caffe/layers/channel_tiles.hpp"
#include "caffe/layers/coefficient_shape.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
void BiasLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& /*top*/) {
  if (bottom.size() == 2) return;
  if (this->blobs_.empty()) {
    const BiasParameter& param = this->layer_param_.bias_param();
    const int axis = bottom[0]->CanonicalAxisIndex(param.axis());
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(
        LearnedShape(this->layer_param_, bottom[0]->shape(), axis, param.num_axes())));
    shared_ptr<Filler<Dtype>> filler(GetFiller<Dtype>(param.filler()));
    filler->Fill(this->blobs_[0].get());
  }
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void BiasLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                               const vector<Blob<Dtype>*>& top) {
  const bool learned = bottom.size() == 1;
  const Blob<Dtype>& bias = learned ? *this->blobs_[0] : *bottom[1];
  axes_ = bias.num_axes();
  axis_ = axes_ == 0
              ? 0
              : bottom[0]->CanonicalAxisIndex(this->layer_param_.bias_param().axis());
  CheckCoefficientShape(
      this->layer_param_,
      learned ? string("the learned bias") : NameOfBottom(this->layer_param_, 1),
      bias.shape(), bottom[0]->shape(), axis_);
  if (top[0] != bottom[0]) top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
LayerTraits BiasLayer<Dtype>::Traits() const {
  LayerTraits traits{.of = &typeid(BiasLayer),
                     .in_place = {InPlace::kChanges, InPlace::kRefused},
                     .bottom_use = {DataUse::kNone},
                     .top_use = {DataUse::kNone},
                     .can_recompute = true,
                     .device_only = true};
  if (this->blobs_.empty() || axis_ != 1 || axes_ != 1) return traits;
  traits.channel_affine = [this](vector<double>* multiplier, vector<double>* shift) {
    const Dtype* b = this->blobs_[0]->cpu_data();
    shift->assign(b, b + this->blobs_[0]->count());
    multiplier->assign(shift->size(), 1);
  };
  return traits;
}

template <typename Dtype>
void BiasLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const int block = CoefficientBlock(axis_, axes_, DataOf(bottom[0]).block());
  const Dtype* b =
      bottom.size() == 1 ? this->blobs_[0]->cpu_data() : bottom[1]->cpu_data();
  const Dtype* x = DataOf(bottom[0]).Read(block);
  Dtype* out = DataOf(top[0]).WriteFrom(DataOf(bottom[0]), block);
  const ChannelTiles tiles = CoefficientTiles(bottom[0]->shape(), axis_, axes_, block);
  ForEachTile(tiles, [=](std::int64_t first, std::int64_t channel) {
    MapTile(tiles, [=](std::int64_t i, int j) {
      out[first + i] = x[first + i] + b[channel + j];
    });
  });
}

template <typename Dtype>
void BiasLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  const int block = CoefficientBlock(axis_, axes_, DiffOf(top[0]).block());
  const Dtype* d_out = DiffOf(top[0]).Read(block);
  const bool learned = bottom.size() == 1;
  if (learned ? this->param_propagate_down_[0] : propagate_down[1]) {
    Blob<Dtype>* bias = learned ? this->blobs_[0].get() : bottom[1];
    Dtype* db = bias->mutable_cpu_diff();
    if (!learned) caffe_set(bias->count(), Dtype(0), db);
    const ChannelTiles tiles = CoefficientTiles(bottom[0]->shape(), axis_, axes_, block);
    ForEachTileByCoefficient(tiles, [=](std::int64_t first, std::int64_t channel) {
      SumTile(tiles, db + channel, [=](std::int64_t i, int) { return d_out[first + i]; });
    });
  }
  if (propagate_down[0] && bottom[0] != top[0]) {
    caffe_copy(bottom[0]->count(), d_out, DiffOf(bottom[0]).Write(block));
  }
}

INSTANTIATE_CLASS(BiasLayer);
REGISTER_LAYER_CLASS(Bias);

}  // namespace caffe
