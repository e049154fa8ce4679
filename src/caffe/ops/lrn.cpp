#include "caffe/ops/lrn.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace caffe {
namespace {

// Calls visit(element, neighbour, share) for every element of image n and every
// element of its window; share is what the neighbour's square counts in s.
template <typename Visit>
void ForEachNeighbour(const LrnProblem& p, int n, Visit visit) {
  const int reach = p.reach();
  const auto index = [&](int c, int h, int w) {
    return ((int64_t{n} * p.channels + c) * p.height + h) * p.width + w;
  };
  for (int c = 0; c < p.channels; ++c) {
    for (int h = 0; h < p.height; ++h) {
      for (int w = 0; w < p.width; ++w) {
        const double share = LrnShare(p, h, w);
        if (p.across_channels) {
          const int last = std::min(p.channels - 1, c + reach);
          for (int other = std::max(0, c - reach); other <= last; ++other) {
            visit(index(c, h, w), index(other, h, w), share);
          }
          continue;
        }
        for (int y = std::max(0, h - reach); y <= std::min(h + reach, p.height - 1);
             ++y) {
          for (int x = std::max(0, w - reach); x <= std::min(w + reach, p.width - 1);
               ++x) {
            visit(index(c, h, w), index(c, y, x), share);
          }
        }
      }
    }
  }
}

}  // namespace

template <typename T>
void LrnForward(const LrnProblem& p, const T* src, T* scale, T* dst) {
  const int64_t image = int64_t{p.channels} * p.height * p.width;
#pragma omp parallel for schedule(static)
  for (int n = 0; n < p.num; ++n) {
    std::fill(scale + n * image, scale + (n + 1) * image,
              static_cast<T>(p.across_channels ? p.k : 1));
    ForEachNeighbour(p, n, [=](int64_t at, int64_t other, double share) {
      scale[at] += static_cast<T>(share) * src[other] * src[other];
    });
    for (int64_t i = n * image; i < (n + 1) * image; ++i) {
      dst[i] = src[i] * std::pow(scale[i], static_cast<T>(-p.beta));
    }
  }
}

template <typename T>
void LrnBackward(const LrnProblem& p, const T* src, const T* dst, const T* scale,
                 const T* diff_dst, T* diff_src) {
  const int64_t image = int64_t{p.channels} * p.height * p.width;
#pragma omp parallel for schedule(static)
  for (int n = 0; n < p.num; ++n) {
    std::vector<T> through(image, 0);
    ForEachNeighbour(p, n, [&](int64_t at, int64_t other, double share) {
      through[other - n * image] +=
          static_cast<T>(share) * diff_dst[at] * dst[at] / scale[at];
    });
    for (int64_t i = n * image; i < (n + 1) * image; ++i) {
      diff_src[i] = diff_dst[i] * std::pow(scale[i], static_cast<T>(-p.beta)) -
                    static_cast<T>(2 * p.beta) * src[i] * through[i - n * image];
    }
  }
}

template void LrnForward(const LrnProblem&, const float*, float*, float*);
template void LrnForward(const LrnProblem&, const double*, double*, double*);
template void LrnBackward(const LrnProblem&, const float*, const float*, const float*,
                          const float*, float*);
template void LrnBackward(const LrnProblem&, const double*, const double*, const double*,
                          const double*, double*);

}  // namespace caffe
