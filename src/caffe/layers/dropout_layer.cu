#include <cstdint>
#include <vector>
#include "/tmp/overlay/rng.hpp"

#include "caffe/device.hpp"
#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/dropout_layer.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {
namespace {

// Where the mask of a Forward lies in the random stream, and what it does.
template <typename T>
struct Mask {
  std::uint64_t seed, stream, first_draw;
  std::uint32_t dropped_below;
  T scale;
};

// dst = mask * src of (num, spatial, channels), in which element (n, s, c) has the draw
// of its place in (num, channels, spatial). Plain data is one row of one channel.
//
// A thread takes the elements of one (n, c) whose draws are computed together.
template <typename T, typename S>
void ApplyMask(const Mask<T>& mask, int num, int spatial, int channels, const S* src,
               S* dst) {
  const int groups = (spatial + 3) / 4 + 1;  // a row may begin within a group
  const Divisor by_channels(channels), by_groups(groups);
  ForEach(num * groups * channels, [=] __device__(int thread) {
    int c, group;
    const int n = by_groups.Quotient(by_channels.Quotient(thread, &c), &group);
    const std::uint64_t row =
        mask.first_draw + (std::uint64_t(n) * channels + c) * spatial;
    const std::uint64_t index = row / 4 + group;
    const std::int64_t first = static_cast<std::int64_t>(4 * index - row);
    if (first >= spatial) return;
    std::uint32_t draws[4];
    Philox::FourDraws(mask.seed, mask.stream, index, draws);
    for (int j = 0; j < 4; ++j) {
      const std::int64_t s = first + j;
      if (s < 0 || s >= spatial) continue;
      const std::int64_t i = (std::int64_t{n} * spatial + s) * channels + c;
      const T factor = draws[j] < mask.dropped_below ? T(0) : mask.scale;
      dst[i] = static_cast<S>(static_cast<T>(src[i]) * factor);
    }
  });
}

// to = mask * from, or, in a test, a copy.
template <typename T>
void Drop(const Mask<T>* mask, const DeviceTensor<T>& from, const DeviceTensor<T>& to) {
  const DeviceFormat format = from.format();
  const std::vector<int>& shape = from.shape();
  const int count = from.count();
  WithElement<T>(format.type, [&]<typename S>(S) {
    const S* src = ReadElements<S>(from, format);
    S* dst = WriteElementsFrom<S>(from, to, format);
    if (!mask) {
      device::Copy(dst, src, count * sizeof(S));
    } else if (format.layout == DeviceLayout::kPlain || shape.size() < 3) {
      ApplyMask(*mask, 1, count, 1, src, dst);
    } else if (count > 0) {
      ApplyMask(*mask, shape[0], count / (shape[0] * shape[1]), shape[1], src, dst);
    }
  });
}

}  // namespace

template <typename Dtype>
void DropoutLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const bool trains = this->phase_ == TRAIN;
  if (!trains && bottom[0] == top[0]) return;
  if (trains) Draw(bottom[0]->count());
  const Mask<Dtype> mask{seed_, stream_, first_draw_, dropped_below(), scale_};
  Drop(trains ? &mask : nullptr, DeviceDataOf(bottom[0]), DeviceDataOf(top[0]));
}

template <typename Dtype>
void DropoutLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  const bool trains = this->phase_ == TRAIN;
  if (!propagate_down[0] || (!trains && bottom[0] == top[0])) return;
  const Mask<Dtype> mask{seed_, stream_, first_draw_, dropped_below(), scale_};
  Drop(trains ? &mask : nullptr, DeviceDiffOf(top[0]), DeviceDiffOf(bottom[0]));
}

INSTANTIATE_LAYER_GPU_FUNCS(DropoutLayer);

}  // namespace caffe
