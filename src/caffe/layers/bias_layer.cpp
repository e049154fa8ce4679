#include "caffe/layers/bias_layer.hpp"

#include <cstdint>

#include "caffe/filler.hpp"
#include "caffe/layers/channel_tiles.hpp"
#include "caffe/layers/coefficient_shape.hpp"
#include "caffe/ops/layout.hpp"
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
bool BiasLayer<Dtype>::ChannelAffine(vector<double>* multiplier,
                                     vector<double>* shift) const {
  if (this->blobs_.empty() || axis_ != 1 || axes_ != 1) return false;
  const Dtype* b = this->blobs_[0]->cpu_data();
  shift->assign(b, b + this->blobs_[0]->count());
  multiplier->assign(shift->size(), 1);
  return true;
}

template <typename Dtype>
void BiasLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const int block = CoefficientBlock(axis_, axes_, BlockOf(*bottom[0]));
  const Dtype* b =
      bottom.size() == 1 ? this->blobs_[0]->cpu_data() : bottom[1]->cpu_data();
  const bool in_place = bottom[0] == top[0];
  const Dtype* x = in_place ? nullptr : Read(*bottom[0], block);
  Dtype* out = in_place ? Modify(top[0], block) : Write(top[0], block);
  if (in_place) x = out;
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
  const int block = CoefficientBlock(axis_, axes_, DiffBlockOf(*top[0]));
  const Dtype* d_out = ReadDiff(*top[0], block);
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
    caffe_copy(bottom[0]->count(), d_out, WriteDiff(bottom[0], block));
  }
}

INSTANTIATE_CLASS(BiasLayer);
REGISTER_LAYER_CLASS(Bias);

}  // namespace caffe
