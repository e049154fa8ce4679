#ifndef CAFFE_OPS_LANES_HPP_
#define CAFFE_OPS_LANES_HPP_

#include <cstring>

namespace caffe {

/// Floats in a vector register, where the processors that this is compiled for have one
/// that the kernels know; else 1.
#if defined(__AVX512F__)
constexpr int kFloatLanes = 16;
#elif defined(__AVX2__)
constexpr int kFloatLanes = 8;
#else
constexpr int kFloatLanes = 1;
#endif

/// K neighbouring values that one instruction handles: the channels of one block.
/// K = 1 is a plain scalar, so that kernels are written once for every layout.
template <typename T, int K>
struct Lanes {
  typedef T Type __attribute__((vector_size(K * sizeof(T))));
};
template <typename T>
struct Lanes<T, 1> {
  using Type = T;
};
template <typename T, int K>
using LanesOf = typename Lanes<T, K>::Type;

template <int K, typename T>
inline LanesOf<T, K> Load(const T* from) {
  LanesOf<T, K> value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <int K, typename T>
inline void Store(T* to, LanesOf<T, K> value) {
  std::memcpy(to, &value, sizeof(value));
}

/// Lane-wise condition ? a : b; with K = 1 the condition is a bool.
template <int K, typename T, typename Condition>
inline LanesOf<T, K> Choose(Condition condition, LanesOf<T, K> a, LanesOf<T, K> b) {
  return condition ? a : b;
}

/// As the layer ReLU: max(x, 0), but NaN for NaN, and for -inf, whose product with the
/// slope 0 it is. What is no number must show.
template <int K, typename T>
inline LanesOf<T, K> Relu(LanesOf<T, K> x) {
  const LanesOf<T, K> zero = {};
  return Choose<K, T>(x > zero, x, x * zero + zero);
}

}  // namespace caffe

#endif  // CAFFE_OPS_LANES_HPP_
