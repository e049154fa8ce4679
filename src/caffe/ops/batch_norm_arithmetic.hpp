#ifndef CAFFE_OPS_BATCH_NORM_ARITHMETIC_HPP_
#define CAFFE_OPS_BATCH_NORM_ARITHMETIC_HPP_

// Batch normalisation on the processor, as arrays, shapes and scalars. plugin/ compiles
// this file for other people's Caffe, so it is C++11 and knows nothing of the engine.
//
// An array with K channels side by side is (num, channels / K, spatial, K); K = 1 is
// plain NCHW. What is done per element is templated on K; everything per channel is in
// double.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "caffe/ops/channel_shape.hpp"
#include "caffe/ops/lanes.hpp"

namespace caffe {

/// How x^ = (x - centre) * inverse is recovered from what backward reads.
template <typename T>
struct Normalization {
  std::vector<T> centre, inverse;
};

/// The ReLU behind the layer: active where multiplier * x + shift > 0.
template <typename T>
struct ReluMask {
  std::vector<T> multiplier, shift;
};

/// dx = on_dy * dy + on_x * x + constant per channel.
template <typename T>
struct BatchNormGradient {
  std::vector<T> on_dy, on_x, constant;
};

/// What forward used per channel, and what follows from it.
template <typename T>
class BatchNormChannels {
 public:
  /// As after a forward that multiplied by 0: for a backward without one before it.
  void Reset(int channels) {
    mean_.assign(channels, 0);
    inverse_std_.assign(channels, 0);
  }

  /// The running values are used: in TEST, and when frozen.
  void UseRunning(int channels, const T* mean, const T* variance, double eps) {
    mean_.assign(mean, mean + channels);
    SetInverseStd(std::vector<double>(variance, variance + channels), eps);
  }

  /// The batch's mean and biased variance over `count` values are used, and enter the
  /// running ones: running = momentum * running + (1 - momentum) * batch, with the
  /// unbiased variance.
  void UseBatch(const std::vector<double>& mean, const std::vector<double>& variance,
                double count, double momentum, double eps, T* running_mean,
                T* running_variance) {
    const double unbias = count > 1 ? count / (count - 1) : 1;
    for (std::size_t c = 0; c < mean.size(); ++c) {
      running_mean[c] =
          static_cast<T>(momentum * running_mean[c] + (1 - momentum) * mean[c]);
      running_variance[c] = static_cast<T>(momentum * running_variance[c] +
                                           (1 - momentum) * unbias * variance[c]);
    }
    mean_ = mean;
    SetInverseStd(variance, eps);
  }

  /// y = multiplier * x + shift.
  void Affine(const T* scale, const T* bias, std::vector<T>* multiplier,
              std::vector<T>* shift) const {
    const std::size_t channels = mean_.size();
    multiplier->resize(channels);
    shift->resize(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      (*multiplier)[c] = static_cast<T>(scale[c] * inverse_std_[c]);
      (*shift)[c] = static_cast<T>(bias[c] - mean_[c] * scale[c] * inverse_std_[c]);
    }
  }

  /// x^ from the input.
  Normalization<T> FromInput() const {
    Normalization<T> from;
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      from.centre.push_back(static_cast<T>(mean_[c]));
      from.inverse.push_back(static_cast<T>(inverse_std_[c]));
    }
    return from;
  }
  /// x^ from the output, whose centre is the bias and whose unit is the scale. With scale
  /// 0 the input is lost, and dx is 0 whatever this is.
  Normalization<T> FromOutput(const T* scale, const T* bias) const {
    Normalization<T> from;
    for (std::size_t c = 0; c < mean_.size(); ++c) {
      from.centre.push_back(bias[c]);
      from.inverse.push_back(scale[c] == 0 ? T(0) : 1 / scale[c]);
    }
    return from;
  }

  /// dx over `count` values per channel, given what BatchNormBackwardSums() found; of
  /// running values, which do not depend on x, with `used_running`.
  BatchNormGradient<T> Gradient(const T* scale, double count, bool used_running,
                                const Normalization<T>& from,
                                const std::vector<double>& sum_dy,
                                const std::vector<double>& sum_dy_x) const {
    const std::size_t channels = mean_.size();
    BatchNormGradient<T> gradient;
    gradient.on_dy.resize(channels);
    gradient.on_x.resize(channels, 0);
    gradient.constant.resize(channels, 0);
    for (std::size_t c = 0; c < channels; ++c) {
      const double a = scale[c] * inverse_std_[c];
      gradient.on_dy[c] = static_cast<T>(a);
      if (used_running) continue;
      const double per_unit = a * sum_dy_x[c] / count * from.inverse[c];
      gradient.on_x[c] = static_cast<T>(-per_unit);
      gradient.constant[c] =
          static_cast<T>(per_unit * from.centre[c] - a * sum_dy[c] / count);
    }
    return gradient;
  }

 private:
  void SetInverseStd(const std::vector<double>& variance, double eps) {
    inverse_std_.resize(variance.size());
    for (std::size_t c = 0; c < variance.size(); ++c) {
      inverse_std_[c] = 1 / std::sqrt(variance[c] + eps);
    }
  }

  std::vector<double> mean_, inverse_std_;
};

/// diff += sums per channel: parameters' gradients accumulate.
template <typename T>
void AddChannelSums(const std::vector<double>& sums, T* diff) {
  for (std::size_t c = 0; c < sums.size(); ++c) diff[c] += static_cast<T>(sums[c]);
}

namespace batch_norm {

// A float accumulator is folded into double after this many terms, so that the
// error does not grow with the size of the image.
constexpr std::int64_t kFold = 256;

template <int K>
using IsScalar = std::integral_constant<bool, K == 1>;

// Calls tile(n, first channel, offset) for every (image, channel block), in parallel.
template <int K, typename Function>
void ForEachTile(const ChannelShape& shape, const Function& tile) {
  const int groups = shape.channels / K;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < shape.num * groups; ++i) {
    tile(i / groups, i % groups * K, std::int64_t{i} * shape.spatial * K);
  }
}

template <typename T>
void AddTo(std::true_type /*scalar*/, double* sums, const T& value, int /*K*/) {
  *sums += value;
}
template <typename V>
void AddTo(std::false_type /*scalar*/, double* sums, const V& lanes, int K) {
  for (int l = 0; l < K; ++l) sums[l] += lanes[l];
}

// Adds up term(s) over the positions [first, last). Scalars are vectorised along the
// positions, blocks along the channels.
template <typename T, int K, typename Term>
T SumRange(std::true_type /*scalar*/, std::int64_t first, std::int64_t last,
           const Term& term) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t s = first; s < last; ++s) sum += term(s);
  return sum;
}
template <typename T, int K, typename Term>
LanesOf<T, K> SumRange(std::false_type /*scalar*/, std::int64_t first, std::int64_t last,
                       const Term& term) {
  LanesOf<T, K> even = {}, odd = {};
  std::int64_t s = first;
  for (; s + 1 < last; s += 2) {
    even += term(s);
    odd += term(s + 1);
  }
  if (s < last) even += term(s);
  return even + odd;
}

template <typename T, int K, typename Term>
void SumTile(std::int64_t spatial, double* sums, const Term& term) {
  for (std::int64_t first = 0; first < spatial; first += kFold) {
    const std::int64_t last = std::min(spatial, first + kFold);
    AddTo(IsScalar<K>(), sums, SumRange<T, K>(IsScalar<K>(), first, last, term), K);
  }
}

// Per-channel lanes of an optional ReLU mask.
template <typename T, int K>
struct Gate {
  Gate(const ReluMask<T>* mask, int c)
      : multiplier(mask ? Load<K>(&mask->multiplier[c]) : LanesOf<T, K>{}),
        shift(mask ? Load<K>(&mask->shift[c]) : LanesOf<T, K>{}) {}
  template <bool kMasked>
  LanesOf<T, K> Pass(LanesOf<T, K> x, LanesOf<T, K> dy) const {
    if (!kMasked) return dy;
    const LanesOf<T, K> zero = {};
    return Choose<K, T>(multiplier * x + shift > zero, dy, zero);
  }
  LanesOf<T, K> multiplier, shift;
};

// Σ g and Σ g x^ over the positions [first, last).
template <typename T, int K, bool kMasked>
void SumPart(std::true_type /*scalar*/, const T* x, const T* dy, std::int64_t first,
             std::int64_t last, T centre, T inverse, const Gate<T, K>& gate, T* sum_dy,
             T* sum_dy_x) {
  T dys = 0, products = 0;
#pragma omp simd reduction(+ : dys, products)
  for (std::int64_t s = first; s < last; ++s) {
    const T g = gate.template Pass<kMasked>(x[s], dy[s]);
    dys += g;
    products += g * ((x[s] - centre) * inverse);
  }
  *sum_dy = dys;
  *sum_dy_x = products;
}
template <typename T, int K, bool kMasked>
void SumPart(std::false_type /*scalar*/, const T* x, const T* dy, std::int64_t first,
             std::int64_t last, LanesOf<T, K> centre, LanesOf<T, K> inverse,
             const Gate<T, K>& gate, LanesOf<T, K>* sum_dy, LanesOf<T, K>* sum_dy_x) {
  LanesOf<T, K> dys = {}, products = {};
  for (std::int64_t s = first; s < last; ++s) {
    const LanesOf<T, K> value = Load<K>(x + s * K);
    const LanesOf<T, K> g = gate.template Pass<kMasked>(value, Load<K>(dy + s * K));
    dys += g;
    products += g * ((value - centre) * inverse);
  }
  *sum_dy = dys;
  *sum_dy_x = products;
}

template <typename T, int K, bool kMasked>
void SumsOfTile(const T* x, const T* dy, std::int64_t spatial, LanesOf<T, K> centre,
                LanesOf<T, K> inverse, const Gate<T, K>& gate, double* sum_dy,
                double* sum_dy_x) {
  for (std::int64_t first = 0; first < spatial; first += kFold) {
    const std::int64_t last = std::min(spatial, first + kFold);
    LanesOf<T, K> dys, products;
    SumPart<T, K, kMasked>(IsScalar<K>(), x, dy, first, last, centre, inverse, gate, &dys,
                           &products);
    AddTo(IsScalar<K>(), sum_dy, dys, K);
    AddTo(IsScalar<K>(), sum_dy_x, products, K);
  }
}

template <typename T, int K>
struct DataTile {
  const T* x;
  const T* dy;
  T* dx;
  LanesOf<T, K> on_dy, on_x, constant;
  Gate<T, K> gate;

  template <bool kMasked>
  void Run(std::int64_t spatial) const {
    using V = LanesOf<T, K>;
    for (std::int64_t s = 0; s < spatial; ++s) {
      const V value = Load<K>(x + s * K);
      const V g = gate.template Pass<kMasked>(value, Load<K>(dy + s * K));
      Store<K>(dx + s * K, V(on_dy * g + on_x * value + constant));
    }
  }
};

}  // namespace batch_norm

/// Mean and biased variance of every channel.
template <int K, typename T>
void BatchNormStatistics(const ChannelShape& shape, const T* x, std::vector<double>* mean,
                         std::vector<double>* variance) {
  const int channels = shape.channels;
  const std::int64_t spatial = shape.spatial;
  // Per image first, then combined: one pass over memory, since a tile stays in the
  // cache for its second half, and no cancellation as in E[x²] - E[x]².
  std::vector<double> sums(std::size_t(shape.num) * channels, 0), squares(sums);
  batch_norm::ForEachTile<K>(shape, [&](int n, int c, std::int64_t offset) {
    using V = LanesOf<T, K>;
    const T* in = x + offset;
    double* sum = &sums[std::size_t(n) * channels + c];
    batch_norm::SumTile<T, K>(spatial, sum,
                              [=](std::int64_t s) { return Load<K>(in + s * K); });
    T centre_of_lane[K];
    for (int l = 0; l < K; ++l) centre_of_lane[l] = static_cast<T>(sum[l] / spatial);
    const V centre = Load<K>(centre_of_lane);
    batch_norm::SumTile<T, K>(spatial, &squares[std::size_t(n) * channels + c],
                              [=](std::int64_t s) {
                                const V d = Load<K>(in + s * K) - centre;
                                return V(d * d);
                              });
  });
  mean->assign(channels, 0);
  variance->assign(channels, 0);
  for (int n = 0; n < shape.num; ++n) {
    for (int c = 0; c < channels; ++c) {
      (*mean)[c] += sums[std::size_t(n) * channels + c];
    }
  }
  const double count = static_cast<double>(shape.num) * spatial;
  for (int c = 0; c < channels; ++c) {
    (*mean)[c] /= count;
    double total = 0;
    for (int n = 0; n < shape.num; ++n) {
      const std::size_t i = std::size_t(n) * channels + c;
      // The squares were taken around the centre as rounded to T.
      const double centre = static_cast<T>(sums[i] / spatial);
      const double image_mean = sums[i] / spatial;
      const double shift = (*mean)[c] - image_mean;
      total += squares[i] - spatial * (image_mean - centre) * (image_mean - centre) +
               spatial * shift * shift;
    }
    const double mean_square = total / count;
    (*variance)[c] = mean_square < 0 ? 0 : mean_square;  // NaN stays
  }
}

/// y = multiplier * x + shift per channel, then max(0, .) if `relu`. y may be x.
template <int K, typename T>
void BatchNormApply(const ChannelShape& shape, const T* x,
                    const std::vector<T>& multiplier, const std::vector<T>& shift,
                    bool relu, T* y) {
  const std::int64_t spatial = shape.spatial;
  batch_norm::ForEachTile<K>(shape, [&](int, int c, std::int64_t offset) {
    using V = LanesOf<T, K>;
    const T* in = x + offset;
    T* out = y + offset;
    const V a = Load<K>(&multiplier[c]), b = Load<K>(&shift[c]);
    if (relu) {
      for (std::int64_t s = 0; s < spatial; ++s) {
        Store<K>(out + s * K, Relu<K, T>(a * Load<K>(in + s * K) + b));
      }
    } else {
      for (std::int64_t s = 0; s < spatial; ++s) {
        Store<K>(out + s * K, V(a * Load<K>(in + s * K) + b));
      }
    }
  });
}

/// sum_dy = Σ dy and sum_dy_x = Σ dy x^ per channel; with a mask, dy counts only
/// where the ReLU is active.
template <int K, typename T>
void BatchNormBackwardSums(const ChannelShape& shape, const T* x, const T* dy,
                           const Normalization<T>& normalization, const ReluMask<T>* mask,
                           std::vector<double>* sum_dy, std::vector<double>* sum_dy_x) {
  const int channels = shape.channels;
  std::vector<double> dys(std::size_t(shape.num) * channels, 0), products(dys);
  batch_norm::ForEachTile<K>(shape, [&](int n, int c, std::int64_t offset) {
    const batch_norm::Gate<T, K> gate(mask, c);
    const std::size_t i = std::size_t(n) * channels + c;
    auto sums =
        mask ? batch_norm::SumsOfTile<T, K, true> : batch_norm::SumsOfTile<T, K, false>;
    sums(x + offset, dy + offset, shape.spatial, Load<K>(&normalization.centre[c]),
         Load<K>(&normalization.inverse[c]), gate, &dys[i], &products[i]);
  });
  sum_dy->assign(channels, 0);
  sum_dy_x->assign(channels, 0);
  for (int n = 0; n < shape.num; ++n) {
    for (int c = 0; c < channels; ++c) {
      (*sum_dy)[c] += dys[std::size_t(n) * channels + c];
      (*sum_dy_x)[c] += products[std::size_t(n) * channels + c];
    }
  }
}

/// dx = on_dy * dy + on_x * x + constant per channel. dx may be dy.
template <int K, typename T>
void BatchNormBackwardData(const ChannelShape& shape, const T* x, const T* dy,
                           const std::vector<T>& on_dy, const std::vector<T>& on_x,
                           const std::vector<T>& constant, const ReluMask<T>* mask,
                           T* dx) {
  const std::int64_t spatial = shape.spatial;
  batch_norm::ForEachTile<K>(shape, [&](int, int c, std::int64_t offset) {
    const batch_norm::DataTile<T, K> tile = {x + offset,
                                             dy + offset,
                                             dx + offset,
                                             Load<K>(&on_dy[c]),
                                             Load<K>(&on_x[c]),
                                             Load<K>(&constant[c]),
                                             batch_norm::Gate<T, K>(mask, c)};
    mask ? tile.template Run<true>(spatial) : tile.template Run<false>(spatial);
  });
}

}  // namespace caffe

#endif  // CAFFE_OPS_BATCH_NORM_ARITHMETIC_HPP_
