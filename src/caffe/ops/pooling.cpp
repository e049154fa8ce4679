#include "caffe/ops/pooling.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "caffe/ops/branches.hpp"
#include "caffe/ops/channels_last.hpp"
#include "caffe/ops/for_block.hpp"
#include "caffe/ops/lanes.hpp"

namespace caffe {
namespace {

struct Extents {
  int planes;  // N·C
  int height, width, out_h, out_w;
};

template <typename T>
Extents ExtentsOf(Tensor<T> src, Tensor<T> dst) {
  const std::vector<int>& in = src.shape();
  const std::vector<int>& out = dst.shape();
  return {in[0] * in[1], in[2], in[3], out[2], out[3]};
}

// Calls tile(input offset, output offset) for each (image, channel block), in parallel.
template <int K, typename Function>
void ForEachTile(const Extents& e, Function tile) {
  const int64_t in_size = int64_t{e.height} * e.width * K;
  const int64_t out_size = int64_t{e.out_h} * e.out_w * K;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < e.planes / K; ++i) tile(i * in_size, i * out_size);
}

// Of values in bfloat16 with their channels last: the largest of them is one of them. No
// gradient will be asked for.
void MaxPoolChannelsLast(const PoolingProblem& p, const Bfloat16* x, Tensor<float> src,
                         Tensor<float> dst) {
  constexpr int kL = kBfloat16Lanes;
  const Extents e = ExtentsOf(src, dst);
  const int64_t channels = src.shape()[1];
  Bfloat16* y = WriteChannelsLast(dst);
  const int rows = src.shape()[0] * e.out_h;
#pragma omp parallel for schedule(static)
  for (int row = 0; row < rows; ++row) {
    const Bfloat16* image = x + row / e.out_h * int64_t{e.height} * e.width * channels;
    for (int ow = 0; ow < e.out_w; ++ow) {
      const PoolingWindow win = WindowAt(p, e.height, e.width, row % e.out_h, ow);
      Bfloat16* out = y + (int64_t{row} * e.out_w + ow) * channels;
      for (int64_t c = 0; c < channels; c += kL) {
        Bfloat16Lanes best = Bfloat16Lanes{} - std::numeric_limits<float>::max();
        for (int h = win.h0; h < win.h1; ++h) {
          for (int w = win.w0; w < win.w1; ++w) {
            const Bfloat16Lanes values =
                LoadBfloat16(image + (int64_t{h} * e.width + w) * channels + c);
            best = Choose<kL, float>(values > best, values, best);
          }
        }
        StoreBfloat16(out + c, best);
      }
    }
  }
}

}  // namespace

template <typename T>
void MaxPool(const PoolingProblem& p, Tensor<T> src, Tensor<T> dst, int* mask) {
  if constexpr (std::is_same_v<T, float>) {
    if (const Bfloat16* x = ChannelsLast(src)) return MaxPoolChannelsLast(p, x, src, dst);
  }
  const Extents e = ExtentsOf(src, dst);
  const int block = src.block();
  const T* x = src.Read(block);
  T* y = dst.Write(block);
  ForBlock<T>(block, [&]<int K>() {
    using V = LanesOf<T, K>;
    using Indices = LanesOf<int, K>;
    ForEachTile<K>(e, [&](int64_t in_offset, int64_t out_offset) {
      const T* in = x + in_offset;
      for (int oh = 0; oh < e.out_h; ++oh) {
        for (int ow = 0; ow < e.out_w; ++ow) {
          const PoolingWindow win = WindowAt(p, e.height, e.width, oh, ow);
          V best = V{} - std::numeric_limits<T>::max();
          Indices where = Indices{} - 1;
          for (int h = win.h0; h < win.h1; ++h) {
            for (int w = win.w0; w < win.w1; ++w) {
              const int at = h * e.width + w;
              const V values = Load<K>(in + int64_t{at} * K);
              const auto larger = values > best;
              best = Choose<K, T>(larger, values, best);
              where = Choose<K, int>(larger, Indices{} + at, where);
            }
          }
          const int64_t to = out_offset + (int64_t{oh} * e.out_w + ow) * K;
          Store<K>(y + to, best);
          if (mask) Store<K>(mask + to, where);
        }
      }
    });
  });
}

template <typename T>
void MaxPoolBackward(const PoolingProblem&, Tensor<T> diff_dst, const int* mask,
                     int mask_block, Tensor<T> diff_src) {
  const Extents e = ExtentsOf(diff_src, diff_dst);
  const T* dy = diff_dst.Read(mask_block);
  T* dx = diff_src.Write(mask_block);
  ForBlock<T>(mask_block, [&]<int K>() {
    ForEachTile<K>(e, [&](int64_t in_offset, int64_t out_offset) {
      T* out = dx + in_offset;
      std::fill(out, out + int64_t{e.height} * e.width * K, T(0));
      const int64_t windows = int64_t{e.out_h} * e.out_w;
      for (int64_t i = 0; i < windows; ++i) {
        for (int l = 0; l < K; ++l) {
          const int64_t from = out_offset + i * K + l;
          // -1: a window of NaNs has no largest value.
          if (mask[from] >= 0) out[int64_t{mask[from]} * K + l] += dy[from];
        }
      }
    });
  });
}

template <typename T>
void AveragePool(const PoolingProblem& p, Tensor<T> src, Tensor<T> dst) {
  if constexpr (std::is_same_v<T, float>) {
    const bool whole = dst.shape()[2] * dst.shape()[3] == 1 &&
                       WindowAt(p, src.shape()[2], src.shape()[3], 0, 0).area ==
                           src.shape()[2] * src.shape()[3];
    if (ChannelsLast(src) && whole) return AverageOfSum<T>({src}, dst.Write(1));
  }
  const Extents e = ExtentsOf(src, dst);
  const int block = src.block();
  const T* x = src.Read(block);
  T* y = dst.Write(block);
  ForBlock<T>(block, [&]<int K>() {
    using V = LanesOf<T, K>;
    ForEachTile<K>(e, [&](int64_t in_offset, int64_t out_offset) {
      const T* in = x + in_offset;
      for (int oh = 0; oh < e.out_h; ++oh) {
        for (int ow = 0; ow < e.out_w; ++ow) {
          const PoolingWindow win = WindowAt(p, e.height, e.width, oh, ow);
          V total = {};
          // Row by row: short sums lose fewer digits than one long one.
          for (int h = win.h0; h < win.h1; ++h) {
            V row = {};
            const T* values = in + int64_t{h} * e.width * K;
            for (int w = win.w0; w < win.w1; ++w) row += Load<K>(values + w * K);
            total += row;
          }
          Store<K>(y + out_offset + (int64_t{oh} * e.out_w + ow) * K,
                   V(total / static_cast<T>(win.area)));
        }
      }
    });
  });
}

template <typename T>
void AveragePoolBackward(const PoolingProblem& p, Tensor<T> diff_dst,
                         Tensor<T> diff_src) {
  const Extents e = ExtentsOf(diff_src, diff_dst);
  // A single window has no layout of its own: take the one the image wants.
  const int block = diff_dst.block() > 1     ? diff_dst.block()
                    : e.out_h * e.out_w == 1 ? PreferredBlock<T>(diff_src.shape())
                                             : 1;
  const T* dy = diff_dst.Read(block);
  T* dx = diff_src.Write(block);
  ForBlock<T>(block, [&]<int K>() {
    using V = LanesOf<T, K>;
    ForEachTile<K>(e, [&](int64_t in_offset, int64_t out_offset) {
      T* out = dx + in_offset;
      const T* in = dy + out_offset;
      std::fill(out, out + int64_t{e.height} * e.width * K, T(0));
      for (int oh = 0; oh < e.out_h; ++oh) {
        for (int ow = 0; ow < e.out_w; ++ow) {
          const PoolingWindow win = WindowAt(p, e.height, e.width, oh, ow);
          const V share =
              Load<K>(in + (int64_t{oh} * e.out_w + ow) * K) / static_cast<T>(win.area);
          for (int h = win.h0; h < win.h1; ++h) {
            for (int w = win.w0; w < win.w1; ++w) {
              T* to = out + (int64_t{h} * e.width + w) * K;
              Store<K>(to, V(Load<K>(to) + share));
            }
          }
        }
      }
    });
  });
}

#define INSTANTIATE_POOLING(T)                                                     \
  template void MaxPool(const PoolingProblem&, Tensor<T>, Tensor<T>, int*);        \
  template void MaxPoolBackward(const PoolingProblem&, Tensor<T>, const int*, int, \
                                Tensor<T>);                                        \
  template void AveragePool(const PoolingProblem&, Tensor<T>, Tensor<T>);          \
  template void AveragePoolBackward(const PoolingProblem&, Tensor<T>, Tensor<T>)
INSTANTIATE_POOLING(float);
INSTANTIATE_POOLING(double);

}  // namespace caffe
