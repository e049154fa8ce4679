#include "caffe/layers/prelu_layer.hpp"

#include <cstdint>

#include "caffe/filler.hpp"
#include "caffe/layers/channel_tiles.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

template <typename Dtype>
void PReLULayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& /*top*/) {
  const PReLUParameter& param = this->layer_param_.prelu_param();
  channel_shared_ = param.channel_shared();
  if (bottom[0]->num_axes() < 2) {
    throw ValueError(Str(NameOfBottom(this->layer_param_, 0), ": shape ",
                         ShapeText(bottom[0]->shape()), ", expected (N, C, ...)"));
  }
  if (this->blobs_.empty()) {
    FillerParameter filler_param = param.filler();
    if (!param.has_filler()) filler_param.set_value(0.25);  // of the constant filler
    const vector<int> shape =
        channel_shared_ ? vector<int>() : vector<int>{bottom[0]->shape(1)};
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(shape));
    shared_ptr<Filler<Dtype>> filler(GetFiller<Dtype>(filler_param));
    filler->Fill(this->blobs_[0].get());
  }
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void PReLULayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  NeuronLayer<Dtype>::Reshape(bottom, top);
  const int expected = channel_shared_ ? 1 : bottom[0]->shape(1);
  if (this->blobs_[0]->count() != expected) {
    throw ValueError(Str("slopes of shape ", ShapeText(this->blobs_[0]->shape()),
                         ", expected ", expected,
                         channel_shared_ ? " value for all channels"
                                         : " values, one per channel of bottom[0]"));
  }
}

template <typename Dtype>
LayerTraits PReLULayer<Dtype>::Traits() const {
  return {.of = &typeid(PReLULayer),
          .in_place = {InPlace::kChanges},
          .bottom_use = {this->in_place() ? DataUse::kNone : DataUse::kRead},
          .top_use = {DataUse::kNone},
          .device_only = true};
}

template <typename Dtype>
void PReLULayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const int block = DataOf(bottom[0]).block();
  const Dtype* a = this->blobs_[0]->cpu_data();
  const Dtype* x = DataOf(bottom[0]).Read(block);
  Dtype* y = DataOf(top[0]).WriteFrom(DataOf(bottom[0]), block);
  if (bottom[0] == top[0]) {
    bottom_memory_.ReshapeLike(*bottom[0]);
    caffe_copy(bottom[0]->count(), x, DataOf(&bottom_memory_).Write(block));
  }
  const ChannelTiles tiles =
      CoefficientTiles(bottom[0]->shape(), 1, channel_shared_ ? 0 : 1, block);
  ForEachTile(tiles, [=](std::int64_t first, std::int64_t channel) {
    MapTile(tiles, [=](std::int64_t i, int j) {
      const Dtype value = x[first + i];
      y[first + i] = value * (value > 0 ? Dtype(1) : a[channel + j]);
    });
  });
}

template <typename Dtype>
void PReLULayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const int block = DiffOf(top[0]).block();
  const Dtype* a = this->blobs_[0]->cpu_data();
  const Dtype* x = DataOf(bottom[0] == top[0] ? &bottom_memory_ : bottom[0]).Read(block);
  const Dtype* dy = DiffOf(top[0]).Read(block);
  Dtype* da =
      this->param_propagate_down_[0] ? this->blobs_[0]->mutable_cpu_diff() : nullptr;
  Dtype* dx =
      propagate_down[0] ? DiffOf(bottom[0]).WriteFrom(DiffOf(top[0]), block) : nullptr;
  const ChannelTiles tiles =
      CoefficientTiles(bottom[0]->shape(), 1, channel_shared_ ? 0 : 1, block);
  // dx is last, since in place it overwrites dy.
  ForEachTileByCoefficient(tiles, [=](std::int64_t first, std::int64_t channel) {
    if (da) {
      SumTile(tiles, da + channel, [=](std::int64_t i, int) {
        const Dtype value = x[first + i];
        return dy[first + i] * (value > 0 ? Dtype(0) : value);
      });
    }
    if (dx) {
      MapTile(tiles, [=](std::int64_t i, int j) {
        dx[first + i] = dy[first + i] * (x[first + i] > 0 ? Dtype(1) : a[channel + j]);
      });
    }
  });
}

INSTANTIATE_CLASS(PReLULayer);
REGISTER_LAYER_CLASS(PReLU);

}  // namespace caffe
