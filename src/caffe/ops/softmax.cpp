#include "caffe/ops/softmax.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "caffe/util/accurate_math.hpp"

namespace caffe {
namespace {

// Positions of the inner axis that are handled together, so that the loops over
// channels run along memory whichever axis is the long one.
constexpr int kStrip = 64;

template <typename Function>
void ForEachStrip(int outer, int inner, Function function) {
  const int strips = (inner + kStrip - 1) / kStrip;
#pragma omp parallel for schedule(static) if (int64_t{outer} * inner > 4 * kStrip)
  for (int i = 0; i < outer * strips; ++i) {
    const int first = i % strips * kStrip;
    function(i / strips, first, std::min(kStrip, inner - first));
  }
}

}  // namespace

template <typename T>
void Softmax(int outer, int channels, int inner, const T* src, T* dst) {
  ForEachStrip(outer, inner, [=](int o, int first, int width) {
    const T* x = src + int64_t{o} * channels * inner + first;
    T* y = dst + int64_t{o} * channels * inner + first;
    T largest[kStrip];
    double sum[kStrip] = {};
    std::copy(x, x + width, largest);
    for (int c = 1; c < channels; ++c) {
      for (int i = 0; i < width; ++i) {
        largest[i] = std::max(largest[i], x[int64_t{c} * inner + i]);
      }
    }
    for (int c = 0; c < channels; ++c) {
      for (int i = 0; i < width; ++i) {
        const T e = Exp(SplitDifference(x[int64_t{c} * inner + i], largest[i]));
        y[int64_t{c} * inner + i] = e;
        sum[i] += e;
      }
    }
    for (int c = 0; c < channels; ++c) {
      for (int i = 0; i < width; ++i) {
        y[int64_t{c} * inner + i] /= static_cast<T>(sum[i]);
      }
    }
  });
}

template <typename T>
void SoftmaxBackward(int outer, int channels, int inner, const T* dst, const T* diff_dst,
                     T* diff_src) {
  ForEachStrip(outer, inner, [=](int o, int first, int width) {
    const int64_t offset = int64_t{o} * channels * inner + first;
    const T* y = dst + offset;
    const T* dy = diff_dst + offset;
    T* dx = diff_src + offset;
    T dot[kStrip] = {};
    for (int c = 0; c < channels; ++c) {
      for (int i = 0; i < width; ++i) {
        const int64_t at = int64_t{c} * inner + i;
        dot[i] += y[at] * dy[at];
      }
    }
    for (int c = 0; c < channels; ++c) {
      for (int i = 0; i < width; ++i) {
        const int64_t at = int64_t{c} * inner + i;
        dx[at] = y[at] * (dy[at] - dot[i]);
      }
    }
  });
}

template void Softmax(int, int, int, const float*, float*);
template void Softmax(int, int, int, const double*, double*);
template void SoftmaxBackward(int, int, int, const float*, const float*, float*);
template void SoftmaxBackward(int, int, int, const double*, const double*, double*);

}  // namespace caffe
