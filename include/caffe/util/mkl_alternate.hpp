#ifndef CAFFE_UTIL_MKL_ALTERNATE_H_
#define CAFFE_UTIL_MKL_ALTERNATE_H_

// The functions of Intel's vector library that Caffe calls where it is built without MKL,
// element by element: y = f(a), y = f(a, b). y may be an operand.
//
// The other functions of CBLAS are not here, since this library has no BLAS: it offers
// caffe_cpu_gemm and its kin. A file that calls cblas_* includes its own <cblas.h> first.

#include <cmath>

#include "caffe/common.hpp"
#include "caffe/util/math_functions.hpp"

#define DEFINE_VSL_UNARY_FUNC(name, operation)                    \
  template <typename Dtype>                                       \
  void v##name(const int n, const Dtype* a, Dtype* y) {           \
    CHECK_GT(n, 0);                                               \
    CHECK(a);                                                     \
    CHECK(y);                                                     \
    for (int i = 0; i < n; ++i) operation;                        \
  }                                                               \
  inline void vs##name(const int n, const float* a, float* y) {   \
    v##name<float>(n, a, y);                                      \
  }                                                               \
  inline void vd##name(const int n, const double* a, double* y) { \
    v##name<double>(n, a, y);                                     \
  }

#define DEFINE_VSL_UNARY_FUNC_WITH_PARAM(name, operation)                         \
  template <typename Dtype>                                                       \
  void v##name(const int n, const Dtype* a, const Dtype b, Dtype* y) {            \
    CHECK_GT(n, 0);                                                               \
    CHECK(a);                                                                     \
    CHECK(y);                                                                     \
    for (int i = 0; i < n; ++i) operation;                                        \
  }                                                                               \
  inline void vs##name(const int n, const float* a, const float b, float* y) {    \
    v##name<float>(n, a, b, y);                                                   \
  }                                                                               \
  inline void vd##name(const int n, const double* a, const double b, double* y) { \
    v##name<double>(n, a, b, y);                                                  \
  }

#define DEFINE_VSL_BINARY_FUNC(name, operation)                                    \
  template <typename Dtype>                                                        \
  void v##name(const int n, const Dtype* a, const Dtype* b, Dtype* y) {            \
    CHECK_GT(n, 0);                                                                \
    CHECK(a);                                                                      \
    CHECK(b);                                                                      \
    CHECK(y);                                                                      \
    for (int i = 0; i < n; ++i) operation;                                         \
  }                                                                                \
  inline void vs##name(const int n, const float* a, const float* b, float* y) {    \
    v##name<float>(n, a, b, y);                                                    \
  }                                                                                \
  inline void vd##name(const int n, const double* a, const double* b, double* y) { \
    v##name<double>(n, a, b, y);                                                   \
  }

DEFINE_VSL_UNARY_FUNC(Sqr, y[i] = a[i] * a[i])
DEFINE_VSL_UNARY_FUNC(Sqrt, y[i] = std::sqrt(a[i]))
DEFINE_VSL_UNARY_FUNC(Exp, y[i] = std::exp(a[i]))
DEFINE_VSL_UNARY_FUNC(Ln, y[i] = std::log(a[i]))
DEFINE_VSL_UNARY_FUNC(Abs, y[i] = std::fabs(a[i]))
DEFINE_VSL_UNARY_FUNC_WITH_PARAM(Powx, y[i] = std::pow(a[i], b))
DEFINE_VSL_BINARY_FUNC(Add, y[i] = a[i] + b[i])
DEFINE_VSL_BINARY_FUNC(Sub, y[i] = a[i] - b[i])
DEFINE_VSL_BINARY_FUNC(Mul, y[i] = a[i] * b[i])
DEFINE_VSL_BINARY_FUNC(Div, y[i] = a[i] / b[i])

// y = alpha x + beta y; OpenBLAS has them as well.
#if !defined(CBLAS_H) && !defined(__CBLAS_H__)
inline void cblas_saxpby(const int N, const float alpha, const float* X, const int incX,
                         const float beta, float* Y, const int incY) {
  for (int i = 0; i < N; ++i) Y[i * incY] = alpha * X[i * incX] + beta * Y[i * incY];
}
inline void cblas_daxpby(const int N, const double alpha, const double* X, const int incX,
                         const double beta, double* Y, const int incY) {
  for (int i = 0; i < N; ++i) Y[i * incY] = alpha * X[i * incX] + beta * Y[i * incY];
}
#endif

#endif  // CAFFE_UTIL_MKL_ALTERNATE_H_
