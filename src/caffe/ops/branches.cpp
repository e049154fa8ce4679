#include "caffe/ops/branches.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "caffe/ops/channels_last.hpp"
#include "caffe/ops/for_block.hpp"
#include "caffe/ops/lanes.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {
namespace {

// A float accumulator is folded into double after this many positions.
constexpr std::int64_t kFold = 256;

template <typename T>
std::int64_t Spatial(const Tensor<T>& tensor) {
  const std::vector<int>& shape = tensor.shape();
  return tensor.count() / (std::int64_t{shape[0]} * shape[1]);
}

constexpr int kL = kBfloat16Lanes;

// Strips of 64 channels: a line of the cache for each place of bfloat16, and sums that
// stay in registers.
constexpr int kStripVectors = 4;

void AverageOfSumChannelsLast(const std::vector<const Bfloat16*>& branches,
                              std::int64_t images, std::int64_t spatial,
                              std::int64_t channels, float* mean) {
  constexpr int kStrip = kStripVectors * kL;
  const std::int64_t strips = (channels + kStrip - 1) / kStrip;
  ParallelTasks(images * strips, images * spatial * channels, [&](std::int64_t task) {
    const std::int64_t image = task / strips, c = task % strips * kStrip;
    const int vectors =
        static_cast<int>(std::min<std::int64_t>(kStripVectors, (channels - c) / kL));
    double totals[kStrip] = {};
    for (std::int64_t first = 0; first < spatial; first += kFold) {
      const std::int64_t last = std::min(spatial, first + kFold);
      Bfloat16Lanes sums[kStripVectors] = {};
      for (const Bfloat16* branch : branches) {
        const Bfloat16* x = branch + image * spatial * channels + c;
        for (std::int64_t s = first; s < last; ++s) {
          for (int v = 0; v < vectors; ++v)
            sums[v] += LoadBfloat16(x + s * channels + v * kL);
        }
      }
      float lanes[kStrip];
      for (int v = 0; v < vectors; ++v) Store<kL>(lanes + v * kL, sums[v]);
      for (int l = 0; l < vectors * kL; ++l) totals[l] += lanes[l];
    }
    for (int l = 0; l < vectors * kL; ++l) {
      mean[image * channels + c + l] = static_cast<float>(totals[l] / spatial);
    }
  });
}

void WeightedSumChannelsLast(const float* a, const Bfloat16* x, const float* b,
                             const Bfloat16* y, std::int64_t images, std::int64_t spatial,
                             std::int64_t channels, Bfloat16* dst) {
  // Some tasks for each thread, of whole places.
  const std::int64_t part = std::max<std::int64_t>(1, 8192 / channels);
  const std::int64_t parts = (spatial + part - 1) / part;
  ParallelTasks(images * parts, images * spatial * channels, [&](std::int64_t task) {
    const std::int64_t image = task / parts, first = task % parts * part;
    const std::int64_t last = std::min(spatial, first + part);
    for (std::int64_t s = first; s < last; ++s) {
      const std::int64_t at = (image * spatial + s) * channels;
      for (std::int64_t c = 0; c < channels; c += kL) {
        const std::int64_t of = image * channels + c;
        StoreBfloat16(dst + at + c,
                      Bfloat16Lanes(Load<kL>(a + of) * LoadBfloat16(x + at + c) +
                                    Load<kL>(b + of) * LoadBfloat16(y + at + c)));
      }
    }
  });
}

}  // namespace

template <typename T>
void AverageOfSum(const std::vector<Tensor<T>>& branches, T* mean) {
  if (branches[0].count() == 0) return;
  if constexpr (std::is_same_v<T, float>) {
    std::vector<const Bfloat16*> all;
    for (const Tensor<T>& branch : branches) {
      if (const Bfloat16* values = ChannelsLast(branch)) all.push_back(values);
    }
    if (all.size() == branches.size() && FitsChannelsLast(branches[0].shape())) {
      const std::vector<int>& shape = branches[0].shape();
      return AverageOfSumChannelsLast(all, shape[0], Spatial(branches[0]), shape[1],
                                      mean);
    }
  }
  const int block = branches[0].block();
  std::vector<const T*> data;
  for (const Tensor<T>& branch : branches) data.push_back(branch.Read(block));
  const std::int64_t spatial = Spatial(branches[0]);
  const std::int64_t tiles = branches[0].count() / (spatial * block);
  ForBlock<T>(block, [&]<int K>() {
    using V = LanesOf<T, K>;
    ParallelTasks(tiles, branches[0].count(), [&](std::int64_t tile) {
      double totals[K] = {};
      for (std::int64_t first = 0; first < spatial; first += kFold) {
        const std::int64_t last = std::min(spatial, first + kFold);
        V sum = {};
        for (const T* branch : data) {
          const T* x = branch + tile * spatial * K;
          for (std::int64_t s = first; s < last; ++s) sum += Load<K>(x + s * K);
        }
        T lanes[K];
        Store<K>(lanes, sum);
        for (int l = 0; l < K; ++l) totals[l] += lanes[l];
      }
      for (int l = 0; l < K; ++l)
        mean[tile * K + l] = static_cast<T>(totals[l] / spatial);
    });
  });
}

template <typename T>
void WeightedSum(const T* a, Tensor<T> x, const T* b, Tensor<T> y, Tensor<T> dst,
                 bool leaves_bfloat16) {
  if (x.count() == 0) return;
  if constexpr (std::is_same_v<T, float>) {
    const Bfloat16 *xs = ChannelsLast(x), *ys = ChannelsLast(y);
    if (leaves_bfloat16 && xs && ys && FitsChannelsLast(x.shape())) {
      return WeightedSumChannelsLast(a, xs, b, ys, x.shape()[0], Spatial(x), x.shape()[1],
                                     WriteChannelsLast(dst));
    }
  }
  const int block = x.block();
  const T* xs = x.Read(block);
  const T* ys = y.Read(block);
  T* out = dst.Write(block);
  const std::int64_t spatial = Spatial(x);
  const std::int64_t tiles = x.count() / (spatial * block);
  ForBlock<T>(block, [&]<int K>() {
    using V = LanesOf<T, K>;
    ParallelTasks(tiles, x.count(), [&](std::int64_t tile) {
      const V wa = Load<K>(a + tile * K), wb = Load<K>(b + tile * K);
      const std::int64_t first = tile * spatial * K, last = first + spatial * K;
      for (std::int64_t i = first; i < last; i += K) {
        Store<K>(out + i, V(wa * Load<K>(xs + i) + wb * Load<K>(ys + i)));
      }
    });
  });
}

#define INSTANTIATE_BRANCHES(T)                                  \
  template void AverageOfSum(const std::vector<Tensor<T>>&, T*); \
  template void WeightedSum(const T*, Tensor<T>, const T*, Tensor<T>, Tensor<T>, bool)
INSTANTIATE_BRANCHES(float);
INSTANTIATE_BRANCHES(double);

}  // namespace caffe
