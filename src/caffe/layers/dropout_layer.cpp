#include "caffe/layers/dropout_layer.hpp"

#include <vector>

#include "caffe/ops/tensor.hpp"
#include "caffe/util/parallel.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

template <typename Dtype>
void DropoutLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  NeuronLayer<Dtype>::LayerSetUp(bottom, top);
  threshold_ = this->layer_param_.dropout_param().dropout_ratio();
  scale_ = 1 / (1 - threshold_);
  seed_ = stream_ = first_draw_ = 0;
}

template <typename Dtype>
void DropoutLayer<Dtype>::Draw(int count) {
  Philox* stream = caffe_rng();
  seed_ = stream->seed();
  stream_ = stream->stream();
  first_draw_ = stream->counter();
  // All at once: whoever applies the mask finds the place of each element's draw.
  stream->discard(count);
}

template <typename Dtype>
void DropoutLayer<Dtype>::Apply(const Blob<Dtype>& blob, int block, const Dtype* src,
                                Dtype* dst) const {
  constexpr int kPart = 4096;
  const std::uint32_t dropped_below = this->dropped_below();
  const Dtype scale = scale_;
  const std::int64_t count = blob.count();
  // Packed data goes by tiles of `block` channels: in either layout such a tile covers
  // the same elements, so each keeps the draw of its plain index.
  const std::int64_t spatial = block > 1 ? blob.count(2) : 1;
  const std::int64_t part = block > 1 ? block * spatial : kPart;
  ParallelTasks((count + part - 1) / part, count, [&](std::int64_t task) {
    const std::int64_t begin = task * part;
    const std::int64_t size = std::min(part, count - begin);
    std::vector<std::uint32_t> draws(size);
    Philox(seed_, stream_).Draws(first_draw_ + begin, size, draws.data());
    const auto factor = [&](std::int64_t i) {
      return draws[i] < dropped_below ? Dtype(0) : scale;
    };
    if (block == 1) {
      for (std::int64_t i = 0; i < size; ++i) dst[begin + i] = src[begin + i] * factor(i);
      return;
    }
    for (std::int64_t s = 0; s < spatial; ++s) {
      for (int c = 0; c < block; ++c) {
        const std::int64_t i = begin + s * block + c;
        dst[i] = src[i] * factor(c * spatial + s);
      }
    }
  });
}

template <typename Dtype>
LayerTraits DropoutLayer<Dtype>::Traits() const {
  return {.of = &typeid(DropoutLayer),
          .in_place = {InPlace::kKeepsSign},
          .bottom_use = {DataUse::kNone},
          .top_use = {DataUse::kNone},
          .device_only = this->phase_ == TEST};
}

template <typename Dtype>
void DropoutLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  if (this->phase_ != TRAIN && bottom[0] == top[0]) return;
  const int block = DataOf(bottom[0]).block();
  const Dtype* src = DataOf(bottom[0]).Read(block);
  Dtype* dst = DataOf(top[0]).WriteFrom(DataOf(bottom[0]), block);
  if (this->phase_ == TRAIN) {
    Draw(bottom[0]->count());
    Apply(*bottom[0], block, src, dst);
  } else {
    caffe_copy(bottom[0]->count(), src, dst);
  }
}

template <typename Dtype>
void DropoutLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || (this->phase_ != TRAIN && bottom[0] == top[0])) return;
  const int block = DiffOf(top[0]).block();
  const Dtype* src = DiffOf(top[0]).Read(block);
  Dtype* dst = DiffOf(bottom[0]).WriteFrom(DiffOf(top[0]), block);
  if (this->phase_ == TRAIN) {
    Apply(*bottom[0], block, src, dst);
  } else {
    caffe_copy(bottom[0]->count(), src, dst);
  }
}

INSTANTIATE_CLASS(DropoutLayer);
REGISTER_LAYER_CLASS(Dropout);

}  // namespace caffe
