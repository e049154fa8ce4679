#ifndef CAFFE_LAYERS_NORMALIZE_ARITHMETIC_HPP_
#define CAFFE_LAYERS_NORMALIZE_ARITHMETIC_HPP_

#include <cmath>
#include <cstdint>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/util/parallel_tasks.hpp"

namespace caffe {

/// Vectors that are divided by their norms, in an array (images, channels, spatial): all
/// of an image, or the channels of each place.
struct NormGroups {
  int images, channels, spatial;
  bool whole_image;

  int groups() const { return whole_image ? images : images * spatial; }
};

/// What a group is multiplied by to have norm 1; 0, not infinity, for one of zeros.
CAFFE_HOST_DEVICE inline double InverseNorm(double squares) {
  return squares == 0 ? 0 : 1 / std::sqrt(squares);
}

/// y = scale x / sqrt(sum of squares + eps). `scale` has one value for each channel, or
/// one for all with a scale_step of 0. Leaves the inverse norm of each group in
/// `inverse`.
template <typename T>
void NormalizeForward(const NormGroups& g, double eps, const T* scale, int scale_step,
                      const T* x, T* y, double* inverse) {
  const std::int64_t spatial = g.spatial, image = spatial * g.channels;
  ParallelTasks(g.images, g.images * image, [=](std::int64_t n) {
    const T* in = x + n * image;
    std::vector<double> sums(g.whole_image ? 1 : spatial, eps);
    for (std::int64_t i = 0; i < image; ++i) {
      sums[g.whole_image ? 0 : i % spatial] += static_cast<double>(in[i]) * in[i];
    }
    double* factors = inverse + n * sums.size();
    for (std::size_t s = 0; s < sums.size(); ++s) factors[s] = InverseNorm(sums[s]);
    for (std::int64_t i = 0; i < image; ++i) {
      y[n * image + i] =
          static_cast<T>(scale[i / spatial * scale_step] *
                         (in[i] * factors[g.whole_image ? 0 : i % spatial]));
    }
  });
}

/// dx = (scale dy - x (sum of scale dy x) / norm^2) / norm.
template <typename T>
void NormalizeBackward(const NormGroups& g, const double* inverse, const T* scale,
                       int scale_step, const T* x, const T* dy, T* dx) {
  const std::int64_t spatial = g.spatial, image = spatial * g.channels;
  ParallelTasks(g.images, g.images * image, [=](std::int64_t n) {
    const T *in = x + n * image, *diff = dy + n * image;
    const std::size_t groups = g.whole_image ? 1 : spatial;
    std::vector<double> sums(groups, 0);
    for (std::int64_t i = 0; i < image; ++i) {
      sums[g.whole_image ? 0 : i % spatial] +=
          static_cast<double>(scale[i / spatial * scale_step]) * diff[i] * in[i];
    }
    for (std::int64_t i = 0; i < image; ++i) {
      const std::size_t s = g.whole_image ? 0 : i % spatial;
      const double factor = inverse[n * groups + s];
      dx[n * image + i] = static_cast<T>((scale[i / spatial * scale_step] * diff[i] -
                                          in[i] * (sums[s] * factor * factor)) *
                                         factor);
    }
  });
}

/// Adds dy x / norm to the gradient of each channel's scale.
template <typename T>
void NormalizeScaleGradient(const NormGroups& g, const double* inverse, int scale_step,
                            const T* x, const T* dy, T* dscale) {
  const std::int64_t spatial = g.spatial;
  std::vector<double> sums(scale_step == 0 ? 1 : g.channels, 0);
  for (std::int64_t i = 0; i < std::int64_t{g.images} * g.channels * spatial; ++i) {
    const std::int64_t row = i / spatial, n = row / g.channels;
    const double factor = inverse[g.whole_image ? n : n * spatial + i % spatial];
    sums[row % g.channels * scale_step] += dy[i] * (x[i] * factor);
  }
  for (std::size_t c = 0; c < sums.size(); ++c) dscale[c] += static_cast<T>(sums[c]);
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_NORMALIZE_ARITHMETIC_HPP_
