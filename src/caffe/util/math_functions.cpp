#include "caffe/util/math_functions.hpp"

#include <dnnl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {
namespace {

// Below this many elements a parallel region costs more than it saves.
constexpr int kParallelGrain = 1 << 15;

template <typename Dtype, typename Function>
void Map(int n, Dtype* y, Function function) {
#pragma omp parallel for simd schedule(static) if (n > kParallelGrain)
  for (int i = 0; i < n; ++i) y[i] = function(i);
}

// The reference product: rows in parallel, k in the middle so that the inner
// loop runs along rows of B and C.
void NativeGemm(bool transpose_a, bool transpose_b, int M, int N, int K, double alpha,
                const double* A, const double* B, double beta, double* C) {
  std::vector<double> b_rows;
  if (transpose_b) {
    b_rows.resize(static_cast<size_t>(K) * N);
    for (int n = 0; n < N; ++n) {
      for (int k = 0; k < K; ++k)
        b_rows[static_cast<size_t>(k) * N + n] = B[static_cast<size_t>(n) * K + k];
    }
    B = b_rows.data();
  }
  const bool worthwhile = static_cast<int64_t>(M) * N * K > kParallelGrain;
#pragma omp parallel for schedule(static) if (worthwhile)
  for (int m = 0; m < M; ++m) {
    double* row = C + static_cast<size_t>(m) * N;
    if (beta == 0) {
      std::fill(row, row + N, 0.0);
    } else if (beta != 1) {
      for (int n = 0; n < N; ++n) row[n] *= beta;
    }
    for (int k = 0; k < K; ++k) {
      const double a = alpha * (transpose_a ? A[static_cast<size_t>(k) * M + m]
                                            : A[static_cast<size_t>(m) * K + k]);
      const double* b = B + static_cast<size_t>(k) * N;
#pragma omp simd
      for (int n = 0; n < N; ++n) row[n] += a * b[n];
    }
  }
}

}  // namespace

template <>
void caffe_cpu_gemm<float>(const CBLAS_TRANSPOSE TransA, const CBLAS_TRANSPOSE TransB,
                           const int M, const int N, const int K, const float alpha,
                           const float* A, const float* B, const float beta, float* C) {
  if (M == 0 || N == 0) return;
  if (K == 0) {  // oneDNN refuses it; BLAS defines it
    caffe_cpu_axpby<float>(M * N, 0, C, beta, C);
    return;
  }
  const char a = TransA == CblasNoTrans ? 'N' : 'T';
  const char b = TransB == CblasNoTrans ? 'N' : 'T';
  const dnnl_status_t status = dnnl_sgemm(a, b, M, N, K, alpha, A, a == 'N' ? K : M, B,
                                          b == 'N' ? N : K, beta, C, N);
  if (status != dnnl_success) {
    throw RuntimeFailure(Str("oneDNN: matrix product ", M, " x ", N, " x ", K,
                             " failed with status ", status));
  }
}

template <>
void caffe_cpu_gemm<double>(const CBLAS_TRANSPOSE TransA, const CBLAS_TRANSPOSE TransB,
                            const int M, const int N, const int K, const double alpha,
                            const double* A, const double* B, const double beta,
                            double* C) {
  NativeGemm(TransA != CblasNoTrans, TransB != CblasNoTrans, M, N, K, alpha, A, B, beta,
             C);
}

template <typename Dtype>
void caffe_cpu_gemv(const CBLAS_TRANSPOSE TransA, const int M, const int N,
                    const Dtype alpha, const Dtype* A, const Dtype* x, const Dtype beta,
                    Dtype* y) {
  if (TransA == CblasNoTrans) {
    caffe_cpu_gemm<Dtype>(CblasNoTrans, CblasNoTrans, M, 1, N, alpha, A, x, beta, y);
  } else {
    caffe_cpu_gemm<Dtype>(CblasNoTrans, CblasNoTrans, 1, N, M, alpha, x, A, beta, y);
  }
}

template <typename Dtype>
void caffe_axpy(const int N, const Dtype alpha, const Dtype* X, Dtype* Y) {
  Map(N, Y, [=](int i) { return Y[i] + alpha * X[i]; });
}

template <typename Dtype>
void caffe_cpu_axpby(const int N, const Dtype alpha, const Dtype* X, const Dtype beta,
                     Dtype* Y) {
  if (beta == Dtype(0)) return caffe_cpu_scale(N, alpha, X, Y);
  Map(N, Y, [=](int i) { return alpha * X[i] + beta * Y[i]; });
}

template <typename Dtype>
void caffe_copy(const int N, const Dtype* X, Dtype* Y) {
  if (X == Y) return;
  if (Caffe::mode() == Caffe::GPU) return device::Copy(Y, X, sizeof(Dtype) * N);
  if (N > 0) std::memcpy(Y, X, sizeof(Dtype) * N);
}

template <typename Dtype>
void caffe_set(const int N, const Dtype alpha, Dtype* X) {
  if (N > 0) std::fill(X, X + N, alpha);
}

template <typename Dtype>
void caffe_add_scalar(const int N, const Dtype alpha, Dtype* X) {
  Map(N, X, [=](int i) { return X[i] + alpha; });
}

template <typename Dtype>
void caffe_scal(const int N, const Dtype alpha, Dtype* X) {
  Map(N, X, [=](int i) { return X[i] * alpha; });
}

template <typename Dtype>
void caffe_cpu_scale(const int N, const Dtype alpha, const Dtype* X, Dtype* Y) {
  Map(N, Y, [=](int i) { return X[i] * alpha; });
}

template <typename Dtype>
void caffe_sqr(const int N, const Dtype* a, Dtype* y) {
  Map(N, y, [=](int i) { return a[i] * a[i]; });
}
template <typename Dtype>
void caffe_sqrt(const int N, const Dtype* a, Dtype* y) {
  Map(N, y, [=](int i) { return std::sqrt(a[i]); });
}
template <typename Dtype>
void caffe_add(const int N, const Dtype* a, const Dtype* b, Dtype* y) {
  Map(N, y, [=](int i) { return a[i] + b[i]; });
}
template <typename Dtype>
void caffe_sub(const int N, const Dtype* a, const Dtype* b, Dtype* y) {
  Map(N, y, [=](int i) { return a[i] - b[i]; });
}
template <typename Dtype>
void caffe_mul(const int N, const Dtype* a, const Dtype* b, Dtype* y) {
  Map(N, y, [=](int i) { return a[i] * b[i]; });
}
template <typename Dtype>
void caffe_div(const int N, const Dtype* a, const Dtype* b, Dtype* y) {
  Map(N, y, [=](int i) { return a[i] / b[i]; });
}
template <typename Dtype>
void caffe_powx(const int n, const Dtype* a, const Dtype b, Dtype* y) {
  Map(n, y, [=](int i) { return std::pow(a[i], b); });
}
template <typename Dtype>
void caffe_exp(const int n, const Dtype* a, Dtype* y) {
  Map(n, y, [=](int i) { return std::exp(a[i]); });
}
template <typename Dtype>
void caffe_log(const int n, const Dtype* a, Dtype* y) {
  Map(n, y, [=](int i) { return std::log(a[i]); });
}
template <typename Dtype>
void caffe_abs(const int n, const Dtype* a, Dtype* y) {
  Map(n, y, [=](int i) { return std::fabs(a[i]); });
}

unsigned int caffe_rng_rand() { return (*caffe_rng())(); }

template <typename Dtype>
Dtype caffe_nextafter(const Dtype b) {
  return std::nextafter(b, std::numeric_limits<Dtype>::max());
}

template <typename Dtype>
void caffe_rng_uniform(const int n, const Dtype a, const Dtype b, Dtype* r) {
  CHECK_GE(n, 0);
  CHECK(r);
  CHECK_LE(a, b) << "a uniform distribution needs min <= max";
  rng_t& gen = *caffe_rng();
  std::uniform_real_distribution<Dtype> distribution(a, caffe_nextafter(b));
  // Rounding in the distribution can reach its open end.
  for (int i = 0; i < n; ++i) r[i] = std::min(distribution(gen), b);
}

template <typename Dtype>
void caffe_rng_gaussian(const int n, const Dtype mu, const Dtype sigma, Dtype* r) {
  CHECK_GE(n, 0);
  CHECK(r);
  CHECK_GT(sigma, Dtype(0)) << "a normal distribution needs a positive deviation";
  rng_t& gen = *caffe_rng();
  std::normal_distribution<Dtype> distribution(mu, sigma);
  for (int i = 0; i < n; ++i) r[i] = distribution(gen);
}

namespace {

template <typename Dtype, typename Int>
void Bernoulli(const int n, const Dtype p, Int* r) {
  CHECK_GE(n, 0);
  CHECK(r);
  CHECK_GE(p, Dtype(0)) << "a probability lies in [0, 1]";
  CHECK_LE(p, Dtype(1)) << "a probability lies in [0, 1]";
  rng_t& gen = *caffe_rng();
  std::bernoulli_distribution distribution(p);
  for (int i = 0; i < n; ++i) r[i] = distribution(gen);
}

}  // namespace

template <typename Dtype>
void caffe_rng_bernoulli(const int n, const Dtype p, int* r) {
  Bernoulli(n, p, r);
}
template <typename Dtype>
void caffe_rng_bernoulli(const int n, const Dtype p, unsigned int* r) {
  Bernoulli(n, p, r);
}

template <typename Dtype>
Dtype caffe_cpu_strided_dot(const int n, const Dtype* x, const int incx, const Dtype* y,
                            const int incy) {
  Dtype sum = 0;
  for (int i = 0; i < n; ++i) {
    sum += x[static_cast<int64_t>(i) * incx] * y[static_cast<int64_t>(i) * incy];
  }
  return sum;
}

// Long sums are kept in double: a float accumulator loses digits from about a
// million terms on, and these values steer clipping and logs.
template <typename Dtype>
Dtype caffe_cpu_dot(const int n, const Dtype* x, const Dtype* y) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * y[i];
  return static_cast<Dtype>(sum);
}

template <typename Dtype>
Dtype caffe_cpu_asum(const int n, const Dtype* x) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < n; ++i) sum += std::fabs(static_cast<double>(x[i]));
  return static_cast<Dtype>(sum);
}

#define INSTANTIATE_MATH(Dtype)                                                         \
  template void caffe_cpu_gemv<Dtype>(const CBLAS_TRANSPOSE, const int, const int,      \
                                      const Dtype, const Dtype*, const Dtype*,          \
                                      const Dtype, Dtype*);                             \
  template void caffe_axpy<Dtype>(const int, const Dtype, const Dtype*, Dtype*);        \
  template void caffe_cpu_axpby<Dtype>(const int, const Dtype, const Dtype*,            \
                                       const Dtype, Dtype*);                            \
  template void caffe_add_scalar<Dtype>(const int, const Dtype, Dtype*);                \
  template void caffe_scal<Dtype>(const int, const Dtype, Dtype*);                      \
  template void caffe_cpu_scale<Dtype>(const int, const Dtype, const Dtype*, Dtype*);   \
  template void caffe_sqr<Dtype>(const int, const Dtype*, Dtype*);                      \
  template void caffe_sqrt<Dtype>(const int, const Dtype*, Dtype*);                     \
  template void caffe_add<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);        \
  template void caffe_sub<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);        \
  template void caffe_mul<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);        \
  template void caffe_div<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);        \
  template void caffe_powx<Dtype>(const int, const Dtype*, const Dtype, Dtype*);        \
  template void caffe_exp<Dtype>(const int, const Dtype*, Dtype*);                      \
  template void caffe_log<Dtype>(const int, const Dtype*, Dtype*);                      \
  template void caffe_abs<Dtype>(const int, const Dtype*, Dtype*);                      \
  template Dtype caffe_nextafter<Dtype>(const Dtype);                                   \
  template void caffe_rng_uniform<Dtype>(const int, const Dtype, const Dtype, Dtype*);  \
  template void caffe_rng_gaussian<Dtype>(const int, const Dtype, const Dtype, Dtype*); \
  template void caffe_rng_bernoulli<Dtype>(const int, const Dtype, int*);               \
  template void caffe_rng_bernoulli<Dtype>(const int, const Dtype, unsigned int*);      \
  template Dtype caffe_cpu_strided_dot<Dtype>(const int, const Dtype*, const int,       \
                                              const Dtype*, const int);                 \
  template Dtype caffe_cpu_dot<Dtype>(const int, const Dtype*, const Dtype*);           \
  template Dtype caffe_cpu_asum<Dtype>(const int, const Dtype*)
INSTANTIATE_MATH(float);
INSTANTIATE_MATH(double);

#define INSTANTIATE_COPY(Dtype)                                     \
  template void caffe_copy<Dtype>(const int, const Dtype*, Dtype*); \
  template void caffe_set<Dtype>(const int, const Dtype, Dtype*)
INSTANTIATE_COPY(int);
INSTANTIATE_COPY(unsigned int);
INSTANTIATE_COPY(float);
INSTANTIATE_COPY(double);

}  // namespace caffe
