// Vectors and matrices in device memory: cuBLAS, cuRAND, and a kernel an operation for
// the rest.

#include "caffe/util/math_functions.hpp"

#include <cmath>
#include <type_traits>

#include "caffe/device.hpp"
#include "caffe/gpu/buffer.hpp"
#include "caffe/gpu/for_each.cuh"

namespace caffe {
namespace {

// The function of a library that has one for float and one for double.
template <typename T, typename F, typename D>
auto OfType(F of_float, D of_double) {
  if constexpr (std::is_same_v<T, float>) {
    return of_float;
  } else {
    return of_double;
  }
}

}  // namespace

// cuBLAS goes by columns, we by rows: it sees every matrix transposed, and computes
// Cᵀ = op(B)ᵀ op(A)ᵀ.
template <typename Dtype>
void caffe_gpu_gemm(const CBLAS_TRANSPOSE TransA, const CBLAS_TRANSPOSE TransB,
                    const int M, const int N, const int K, const Dtype alpha,
                    const Dtype* A, const Dtype* B, const Dtype beta, Dtype* C) {
  const auto gemm = OfType<Dtype>(cublasSgemm, cublasDgemm);
  const int lda = TransA == CblasNoTrans ? K : M;
  const int ldb = TransB == CblasNoTrans ? N : K;
  CUBLAS_CHECK(gemm(Caffe::cublas_handle(),
                    TransB == CblasNoTrans ? CUBLAS_OP_N : CUBLAS_OP_T,
                    TransA == CblasNoTrans ? CUBLAS_OP_N : CUBLAS_OP_T, N, M, K, &alpha,
                    B, std::max(ldb, 1), A, std::max(lda, 1), &beta, C, std::max(N, 1)));
}

template <typename Dtype>
void caffe_gpu_gemv(const CBLAS_TRANSPOSE TransA, const int M, const int N,
                    const Dtype alpha, const Dtype* A, const Dtype* x, const Dtype beta,
                    Dtype* y) {
  const auto gemv = OfType<Dtype>(cublasSgemv, cublasDgemv);
  CUBLAS_CHECK(gemv(Caffe::cublas_handle(),
                    TransA == CblasNoTrans ? CUBLAS_OP_T : CUBLAS_OP_N, N, M, &alpha, A,
                    std::max(N, 1), x, 1, &beta, y, 1));
}

template <typename Dtype>
void caffe_gpu_axpy(const int N, const Dtype alpha, const Dtype* X, Dtype* Y) {
  ForEach(N, [=] __device__(int i) { Y[i] += alpha * X[i]; });
}

// As on the host, a beta of 0 overwrites whatever Y holds.
template <typename Dtype>
void caffe_gpu_axpby(const int N, const Dtype alpha, const Dtype* X, const Dtype beta,
                     Dtype* Y) {
  if (beta == Dtype(0)) return caffe_gpu_scale(N, alpha, X, Y);
  ForEach(N, [=] __device__(int i) { Y[i] = alpha * X[i] + beta * Y[i]; });
}

void caffe_gpu_memcpy(const size_t N, const void* X, void* Y) {
  if (X != Y) device::Copy(Y, X, N);
}

void caffe_gpu_memset(const size_t N, const int alpha, void* X) {
  device::Fill(X, alpha, N);
}

template <typename Dtype>
void caffe_gpu_set(const int N, const Dtype alpha, Dtype* X) {
  ForEach(N, [=] __device__(int i) { X[i] = alpha; });
}

template <typename Dtype>
void caffe_gpu_add_scalar(const int N, const Dtype alpha, Dtype* X) {
  ForEach(N, [=] __device__(int i) { X[i] += alpha; });
}

template <typename Dtype>
void caffe_gpu_scal(const int N, const Dtype alpha, Dtype* X) {
  ForEach(N, [=] __device__(int i) { X[i] *= alpha; });
}

template <typename Dtype>
void caffe_gpu_scale(const int N, const Dtype alpha, const Dtype* x, Dtype* y) {
  ForEach(N, [=] __device__(int i) { y[i] = alpha * x[i]; });
}

template <typename Dtype>
void caffe_gpu_add(const int N, const Dtype* a, const Dtype* b, Dtype* y) {
  ForEach(N, [=] __device__(int i) { y[i] = a[i] + b[i]; });
}

template <typename Dtype>
void caffe_gpu_sub(const int N, const Dtype* a, const Dtype* b, Dtype* y) {
  ForEach(N, [=] __device__(int i) { y[i] = a[i] - b[i]; });
}

template <typename Dtype>
void caffe_gpu_mul(const int N, const Dtype* a, const Dtype* b, Dtype* y) {
  ForEach(N, [=] __device__(int i) { y[i] = a[i] * b[i]; });
}

template <typename Dtype>
void caffe_gpu_div(const int N, const Dtype* a, const Dtype* b, Dtype* y) {
  ForEach(N, [=] __device__(int i) { y[i] = a[i] / b[i]; });
}

template <typename Dtype>
void caffe_gpu_abs(const int n, const Dtype* a, Dtype* y) {
  ForEach(n, [=] __device__(int i) { y[i] = std::fabs(a[i]); });
}

template <typename Dtype>
void caffe_gpu_exp(const int n, const Dtype* a, Dtype* y) {
  ForEach(n, [=] __device__(int i) { y[i] = std::exp(a[i]); });
}

template <typename Dtype>
void caffe_gpu_log(const int n, const Dtype* a, Dtype* y) {
  ForEach(n, [=] __device__(int i) { y[i] = std::log(a[i]); });
}

template <typename Dtype>
void caffe_gpu_powx(const int n, const Dtype* a, const Dtype b, Dtype* y) {
  ForEach(n, [=] __device__(int i) { y[i] = std::pow(a[i], b); });
}

template <typename Dtype>
void caffe_gpu_sqrt(const int n, const Dtype* a, Dtype* y) {
  ForEach(n, [=] __device__(int i) { y[i] = std::sqrt(a[i]); });
}

template <typename Dtype>
void caffe_gpu_sign(const int n, const Dtype* x, Dtype* y) {
  ForEach(n, [=] __device__(int i) { y[i] = (Dtype(0) < x[i]) - (x[i] < Dtype(0)); });
}

template <typename Dtype>
void caffe_gpu_sgnbit(const int n, const Dtype* x, Dtype* y) {
  ForEach(n, [=] __device__(int i) { y[i] = std::signbit(x[i]) ? 1 : 0; });
}

template <typename Dtype>
void caffe_gpu_fabs(const int n, const Dtype* x, Dtype* y) {
  caffe_gpu_abs(n, x, y);
}

template <typename Dtype>
void caffe_gpu_dot(const int n, const Dtype* x, const Dtype* y, Dtype* out) {
  const auto dot = OfType<Dtype>(cublasSdot, cublasDdot);
  CUBLAS_CHECK(dot(Caffe::cublas_handle(), n, x, 1, y, 1, out));
}

template <typename Dtype>
void caffe_gpu_asum(const int n, const Dtype* x, Dtype* y) {
  const auto asum = OfType<Dtype>(cublasSasum, cublasDasum);
  CUBLAS_CHECK(asum(Caffe::cublas_handle(), n, x, 1, y));
}

void caffe_gpu_rng_uniform(const int n, unsigned int* r) {
  CURAND_CHECK(curandGenerate(Caffe::curand_generator(), r, n));
}

// cuRAND draws from (0, 1].
template <typename Dtype>
void caffe_gpu_rng_uniform(const int n, const Dtype a, const Dtype b, Dtype* r) {
  const auto generate = OfType<Dtype>(curandGenerateUniform, curandGenerateUniformDouble);
  CURAND_CHECK(generate(Caffe::curand_generator(), r, n));
  ForEach(n, [=] __device__(int i) { r[i] = a + (b - a) * r[i]; });
}

// cuRAND makes normal numbers in pairs.
template <typename Dtype>
void caffe_gpu_rng_gaussian(const int n, const Dtype mu, const Dtype sigma, Dtype* r) {
  const auto generate = OfType<Dtype>(curandGenerateNormal, curandGenerateNormalDouble);
  if (n % 2 == 0) {
    CURAND_CHECK(generate(Caffe::curand_generator(), r, n, mu, sigma));
    return;
  }
  const DeviceBuffer<Dtype> drawn(n + 1);
  CURAND_CHECK(generate(Caffe::curand_generator(), drawn.get(), n + 1, mu, sigma));
  device::Copy(r, drawn.get(), n * sizeof(Dtype));
}

#define INSTANTIATE(Dtype)                                                              \
  template void caffe_gpu_gemm<Dtype>(const CBLAS_TRANSPOSE, const CBLAS_TRANSPOSE,     \
                                      const int, const int, const int, const Dtype,     \
                                      const Dtype*, const Dtype*, const Dtype, Dtype*); \
  template void caffe_gpu_gemv<Dtype>(const CBLAS_TRANSPOSE, const int, const int,      \
                                      const Dtype, const Dtype*, const Dtype*,          \
                                      const Dtype, Dtype*);                             \
  template void caffe_gpu_axpy<Dtype>(const int, const Dtype, const Dtype*, Dtype*);    \
  template void caffe_gpu_axpby<Dtype>(const int, const Dtype, const Dtype*,            \
                                       const Dtype, Dtype*);                            \
  template void caffe_gpu_set<Dtype>(const int, const Dtype, Dtype*);                   \
  template void caffe_gpu_add_scalar<Dtype>(const int, const Dtype, Dtype*);            \
  template void caffe_gpu_scal<Dtype>(const int, const Dtype, Dtype*);                  \
  template void caffe_gpu_add<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);    \
  template void caffe_gpu_sub<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);    \
  template void caffe_gpu_mul<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);    \
  template void caffe_gpu_div<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);    \
  template void caffe_gpu_abs<Dtype>(const int, const Dtype*, Dtype*);                  \
  template void caffe_gpu_exp<Dtype>(const int, const Dtype*, Dtype*);                  \
  template void caffe_gpu_log<Dtype>(const int, const Dtype*, Dtype*);                  \
  template void caffe_gpu_powx<Dtype>(const int, const Dtype*, const Dtype, Dtype*);    \
  template void caffe_gpu_sqrt<Dtype>(const int, const Dtype*, Dtype*);                 \
  template void caffe_gpu_rng_uniform<Dtype>(const int, const Dtype, const Dtype,       \
                                             Dtype*);                                   \
  template void caffe_gpu_rng_gaussian<Dtype>(const int, const Dtype, const Dtype,      \
                                              Dtype*);                                  \
  template void caffe_gpu_dot<Dtype>(const int, const Dtype*, const Dtype*, Dtype*);    \
  template void caffe_gpu_asum<Dtype>(const int, const Dtype*, Dtype*);                 \
  template void caffe_gpu_sign<Dtype>(const int, const Dtype*, Dtype*);                 \
  template void caffe_gpu_sgnbit<Dtype>(const int, const Dtype*, Dtype*);               \
  template void caffe_gpu_fabs<Dtype>(const int, const Dtype*, Dtype*);                 \
  template void caffe_gpu_scale<Dtype>(const int, const Dtype, const Dtype*, Dtype*)

INSTANTIATE(float);
INSTANTIATE(double);

}  // namespace caffe
