#include "caffe/ops/batch_norm.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/ops/lanes.hpp"

namespace caffe {
namespace {

// A float accumulator is folded into double after this many terms, so that the
// error does not grow with the size of the image.
constexpr int64_t kFold = 256;

struct Extents {
  int num, channels;
  int64_t spatial;
};

template <typename T>
Extents ExtentsOf(Tensor<T> tensor) {
  const std::vector<int>& shape = tensor.shape();
  Extents e{shape[0], shape.size() > 1 ? shape[1] : 1, 1};
  for (size_t i = 2; i < shape.size(); ++i) e.spatial *= shape[i];
  return e;
}

// Calls tile(n, first channel, offset) for every (image, channel block), in parallel.
template <int K, typename Function>
void ForEachTile(const Extents& e, Function tile) {
  const int groups = e.channels / K;
#pragma omp parallel for schedule(static)
  for (int i = 0; i < e.num * groups; ++i) {
    tile(i / groups, i % groups * K, int64_t{i} * e.spatial * K);
  }
}

template <int K, typename V>
void AddTo(double* sums, V lanes) {
  if constexpr (K == 1) {
    *sums += lanes;
  } else {
    for (int l = 0; l < K; ++l) sums[l] += lanes[l];
  }
}

// Adds up term(s) over the positions of a tile. Scalars are vectorised along the
// positions, blocks along the channels.
template <typename T, int K, typename Term>
void SumTile(int64_t spatial, double* sums, Term term) {
  for (int64_t first = 0; first < spatial; first += kFold) {
    const int64_t last = std::min(spatial, first + kFold);
    if constexpr (K == 1) {
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t s = first; s < last; ++s) sum += term(s);
      *sums += sum;
    } else {
      LanesOf<T, K> even = {}, odd = {};
      int64_t s = first;
      for (; s + 1 < last; s += 2) {
        even += term(s);
        odd += term(s + 1);
      }
      if (s < last) even += term(s);
      AddTo<K>(sums, even + odd);
    }
  }
}

}  // namespace

template <typename T>
void BatchNormStatistics(Tensor<T> src, std::vector<double>* mean,
                         std::vector<double>* variance) {
  const Extents e = ExtentsOf(src);
  const int block = src.block();
  const T* x = src.Read(block);
  // Per image first, then combined: one pass over memory, since a tile stays in the
  // cache for its second half, and no cancellation as in E[x²] - E[x]².
  std::vector<double> sums(size_t(e.num) * e.channels, 0), squares(sums);
  ForBlock<T>(block, [&]<int K>() {
    ForEachTile<K>(e, [&](int n, int c, int64_t offset) {
      using V = LanesOf<T, K>;
      const T* in = x + offset;
      double* sum = &sums[size_t(n) * e.channels + c];
      SumTile<T, K>(e.spatial, sum, [=](int64_t s) { return Load<K>(in + s * K); });
      T centre_of_lane[K];
      for (int l = 0; l < K; ++l) centre_of_lane[l] = static_cast<T>(sum[l] / e.spatial);
      const V centre = Load<K>(centre_of_lane);
      SumTile<T, K>(e.spatial, &squares[size_t(n) * e.channels + c], [=](int64_t s) {
        const V d = Load<K>(in + s * K) - centre;
        return V(d * d);
      });
    });
  });
  mean->assign(e.channels, 0);
  variance->assign(e.channels, 0);
  for (int n = 0; n < e.num; ++n) {
    for (int c = 0; c < e.channels; ++c) (*mean)[c] += sums[size_t(n) * e.channels + c];
  }
  const double count = static_cast<double>(e.num) * e.spatial;
  for (int c = 0; c < e.channels; ++c) {
    (*mean)[c] /= count;
    double total = 0;
    for (int n = 0; n < e.num; ++n) {
      const size_t i = size_t(n) * e.channels + c;
      // The squares were taken around the centre as rounded to T.
      const double centre = static_cast<T>(sums[i] / e.spatial);
      const double image_mean = sums[i] / e.spatial;
      const double shift = (*mean)[c] - image_mean;
      total += squares[i] - e.spatial * (image_mean - centre) * (image_mean - centre) +
               e.spatial * shift * shift;
    }
    const double mean_square = total / count;
    (*variance)[c] = mean_square < 0 ? 0 : mean_square;  // NaN stays
  }
}

template <typename T>
void BatchNormApply(Tensor<T> src, const std::vector<T>& multiplier,
                    const std::vector<T>& shift, bool relu, Tensor<T> dst) {
  const Extents e = ExtentsOf(src);
  const int block = src.block();
  const T* x = src.Read(block);
  T* y = dst.WriteFrom(src, block);
  ForBlock<T>(block, [&]<int K>() {
    ForEachTile<K>(e, [&](int, int c, int64_t offset) {
      using V = LanesOf<T, K>;
      const T* in = x + offset;
      T* out = y + offset;
      const V a = Load<K>(&multiplier[c]), b = Load<K>(&shift[c]);
      if (relu) {
        for (int64_t s = 0; s < e.spatial; ++s) {
          Store<K>(out + s * K, Relu<K, T>(a * Load<K>(in + s * K) + b));
        }
      } else {
        for (int64_t s = 0; s < e.spatial; ++s) {
          Store<K>(out + s * K, V(a * Load<K>(in + s * K) + b));
        }
      }
    });
  });
}

namespace {

// Per-channel lanes of an optional ReLU mask.
template <typename T, int K>
struct Gate {
  Gate(const ReluMask<T>* mask, int c)
      : multiplier(mask ? Load<K>(&mask->multiplier[c]) : LanesOf<T, K>{}),
        shift(mask ? Load<K>(&mask->shift[c]) : LanesOf<T, K>{}) {}
  template <bool kMasked>
  LanesOf<T, K> operator()(LanesOf<T, K> x, LanesOf<T, K> dy) const {
    if constexpr (!kMasked) return dy;
    const LanesOf<T, K> zero = {};
    return Choose<K, T>(multiplier * x + shift > zero, dy, zero);
  }
  LanesOf<T, K> multiplier, shift;
};

template <typename T, int K, bool kMasked>
void SumsOfTile(const T* x, const T* dy, int64_t spatial, LanesOf<T, K> centre,
                LanesOf<T, K> inverse, const Gate<T, K>& gate, double* sum_dy,
                double* sum_dy_x) {
  using V = LanesOf<T, K>;
  for (int64_t first = 0; first < spatial; first += kFold) {
    const int64_t last = std::min(spatial, first + kFold);
    V dys = {}, products = {};
    if constexpr (K == 1) {
#pragma omp simd reduction(+ : dys, products)
      for (int64_t s = first; s < last; ++s) {
        const T g = gate.template operator()<kMasked>(x[s], dy[s]);
        dys += g;
        products += g * ((x[s] - centre) * inverse);
      }
    } else {
      for (int64_t s = first; s < last; ++s) {
        const V value = Load<K>(x + s * K);
        const V g = gate.template operator()<kMasked>(value, Load<K>(dy + s * K));
        dys += g;
        products += g * ((value - centre) * inverse);
      }
    }
    AddTo<K>(sum_dy, dys);
    AddTo<K>(sum_dy_x, products);
  }
}

}  // namespace

template <typename T>
void BatchNormBackwardSums(Tensor<T> x, Tensor<T> diff_dst,
                           const Normalization<T>& normalization, const ReluMask<T>* mask,
                           std::vector<double>* sum_dy, std::vector<double>* sum_dy_x) {
  const Extents e = ExtentsOf(x);
  const int block = diff_dst.block();
  const T* dy = diff_dst.Read(block);
  const T* in = x.Read(block);
  std::vector<double> dys(size_t(e.num) * e.channels, 0), products(dys);
  ForBlock<T>(block, [&]<int K>() {
    ForEachTile<K>(e, [&](int n, int c, int64_t offset) {
      const Gate<T, K> gate(mask, c);
      const size_t i = size_t(n) * e.channels + c;
      auto sums = mask ? SumsOfTile<T, K, true> : SumsOfTile<T, K, false>;
      sums(in + offset, dy + offset, e.spatial, Load<K>(&normalization.centre[c]),
           Load<K>(&normalization.inverse[c]), gate, &dys[i], &products[i]);
    });
  });
  sum_dy->assign(e.channels, 0);
  sum_dy_x->assign(e.channels, 0);
  for (int n = 0; n < e.num; ++n) {
    for (int c = 0; c < e.channels; ++c) {
      (*sum_dy)[c] += dys[size_t(n) * e.channels + c];
      (*sum_dy_x)[c] += products[size_t(n) * e.channels + c];
    }
  }
}

template <typename T>
void BatchNormBackwardData(Tensor<T> x, Tensor<T> diff_dst, const std::vector<T>& on_dy,
                           const std::vector<T>& on_x, const std::vector<T>& constant,
                           const ReluMask<T>* mask, Tensor<T> diff_src) {
  const Extents e = ExtentsOf(x);
  const int block = diff_dst.block();
  const T* dy = diff_dst.Read(block);
  const T* in = x.Read(block);
  T* dx = diff_src.WriteFrom(diff_dst, block);
  ForBlock<T>(block, [&]<int K>() {
    ForEachTile<K>(e, [&](int, int c, int64_t offset) {
      using V = LanesOf<T, K>;
      const Gate<T, K> gate(mask, c);
      const V a = Load<K>(&on_dy[c]), b = Load<K>(&on_x[c]), d = Load<K>(&constant[c]);
      const auto run = [&]<bool kMasked>() {
        const T* xs = in + offset;
        const T* dys = dy + offset;
        T* out = dx + offset;
        for (int64_t s = 0; s < e.spatial; ++s) {
          const V value = Load<K>(xs + s * K);
          const V g = gate.template operator()<kMasked>(value, Load<K>(dys + s * K));
          Store<K>(out + s * K, V(a * g + b * value + d));
        }
      };
      mask ? run.template operator()<true>() : run.template operator()<false>();
    });
  });
}

#define INSTANTIATE_BATCH_NORM(T)                                                       \
  template void BatchNormStatistics(Tensor<T>, std::vector<double>*,                    \
                                    std::vector<double>*);                              \
  template void BatchNormApply(Tensor<T>, const std::vector<T>&, const std::vector<T>&, \
                               bool, Tensor<T>);                                        \
  template void BatchNormBackwardSums(Tensor<T>, Tensor<T>, const Normalization<T>&,    \
                                      const ReluMask<T>*, std::vector<double>*,         \
                                      std::vector<double>*);                            \
  template void BatchNormBackwardData(Tensor<T>, Tensor<T>, const std::vector<T>&,      \
                                      const std::vector<T>&, const std::vector<T>&,     \
                                      const ReluMask<T>*, Tensor<T>)
INSTANTIATE_BATCH_NORM(float);
INSTANTIATE_BATCH_NORM(double);

}  // namespace caffe
