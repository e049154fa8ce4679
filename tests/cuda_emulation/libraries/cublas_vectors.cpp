// cuBLAS's functions of vectors, and of a matrix and a vector. As in the reference BLAS,
// the first element of a vector with a negative increment is the last one in memory.

#include <cublas_v2.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <utility>
#include <vector>

#include "cublas_context.h"

namespace cuda_emulation {
namespace {

template <typename T>
constexpr NumberFormat kFormatOf =
    sizeof(T) == sizeof(float) ? NumberFormat::kFloat : NumberFormat::kDouble;

template <typename T>
struct Vector {
  const char* name;
  int count;
  T* data;
  int step;

  bool IsOnDevice(const char* function) const {
    const std::size_t elements =
        1 + static_cast<std::size_t>(count - 1) * std::abs(static_cast<long>(step));
    return cuda_emulation::IsOnDevice(function, name, data, elements * sizeof(T));
  }
  T* first() const {
    return step >= 0 ? data : data - static_cast<std::ptrdiff_t>(count - 1) * step;
  }
  std::vector<double> Values() const {
    std::vector<double> values(count);
    Load(kFormatOf<T>, first(), step, count, values.data());
    return values;
  }
};

/// Has `work` done on the handle's stream if all vectors are device memory.
template <typename... Vectors>
cublasStatus_t Run(const char* function, cublasHandle_t handle,
                   std::function<void()> work, const Vectors&... vectors) {
  if (!IsCurrent(function, handle->device) || !(vectors.IsOnDevice(function) && ...)) {
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  return StatusOf(Enqueue(handle->stream, std::move(work), function));
}

/// Whether alpha, beta or a result lies where the pointer mode says. Nothing can be
/// said of host memory.
bool IsScalarInPlace(const char* function, const char* name, cublasHandle_t handle,
                     const void* pointer, std::size_t bytes) {
  return handle->pointer_mode == CUBLAS_POINTER_MODE_HOST ||
         IsOnDevice(function, name, pointer, bytes);
}

template <typename T>
cublasStatus_t Axpy(cublasHandle_t handle, int n, const T* alpha, const T* x, int incx,
                    T* y, int incy) {
  constexpr const char* kFunction = "cublas<t>axpy";
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (n <= 0) return CUBLAS_STATUS_SUCCESS;
  if (!alpha) return CUBLAS_STATUS_INVALID_VALUE;
  if (!IsScalarInPlace(kFunction, "alpha", handle, alpha, sizeof(T))) {
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  const Scalar factor(handle->pointer_mode, kFormatOf<T>, alpha);
  const Vector<const T> from{"x", n, x, incx};
  const Vector<T> to{"y", n, y, incy};
  return Run(
      kFunction, handle,
      [=] {
        const double scale = factor.value();
        if (scale == 0) return;
        const T* const source = from.first();
        T* const target = to.first();
        for (std::ptrdiff_t i = 0; i < n; ++i) {
          T& there = target[i * incy];
          there = static_cast<T>(scale * source[i * incx] + there);
        }
      },
      from, to);
}

template <typename T>
cublasStatus_t Scal(cublasHandle_t handle, int n, const T* alpha, T* x, int incx) {
  constexpr const char* kFunction = "cublas<t>scal";
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (n <= 0 || incx <= 0) return CUBLAS_STATUS_SUCCESS;
  if (!alpha) return CUBLAS_STATUS_INVALID_VALUE;
  if (!IsScalarInPlace(kFunction, "alpha", handle, alpha, sizeof(T))) {
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  const Scalar factor(handle->pointer_mode, kFormatOf<T>, alpha);
  return Run(
      kFunction, handle,
      [=] {
        const double scale = factor.value();
        for (std::ptrdiff_t i = 0; i < n; ++i) {
          x[i * incx] = static_cast<T>(scale * x[i * incx]);
        }
      },
      Vector<T>{"x", n, x, incx});
}

template <typename T>
cublasStatus_t Copy(cublasHandle_t handle, int n, const T* x, int incx, T* y, int incy) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (n <= 0) return CUBLAS_STATUS_SUCCESS;
  const Vector<const T> from{"x", n, x, incx};
  const Vector<T> to{"y", n, y, incy};
  return Run(
      "cublas<t>copy", handle,
      [=] {
        for (std::ptrdiff_t i = 0; i < n; ++i) {
          to.first()[i * incy] = from.first()[i * incx];
        }
      },
      from, to);
}

/// result = function(), which is 0 without a look at the vectors when these are empty.
template <typename T, typename Function, typename... Vectors>
cublasStatus_t Reduce(const char* name, cublasHandle_t handle, bool empty, T* result,
                      Function function, const Vectors&... vectors) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!result) return CUBLAS_STATUS_INVALID_VALUE;
  if (!IsScalarInPlace(name, "result", handle, result, sizeof(T))) {
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  if (handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE) {
    const auto work = [=] { *result = empty ? T(0) : static_cast<T>(function()); };
    return empty ? Run(name, handle, work) : Run(name, handle, work, vectors...);
  }
  *result = 0;
  if (empty) return CUBLAS_STATUS_SUCCESS;
  const cublasStatus_t status =
      Run(name, handle, [=] { *result = static_cast<T>(function()); }, vectors...);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  return StatusOf(cudaStreamSynchronize(handle->stream));
}

template <typename T>
cublasStatus_t Dot(cublasHandle_t handle, int n, const T* x, int incx, const T* y,
                   int incy, T* result) {
  const Vector<const T> left{"x", n, x, incx};
  const Vector<const T> right{"y", n, y, incy};
  const auto sum = [=] {
    const std::vector<double> a = left.Values();
    const std::vector<double> b = right.Values();
    double total = 0;
    for (int i = 0; i < n; ++i) total += a[i] * b[i];
    return total;
  };
  return Reduce("cublas<t>dot", handle, n <= 0, result, sum, left, right);
}

template <typename T>
cublasStatus_t Asum(cublasHandle_t handle, int n, const T* x, int incx, T* result) {
  const Vector<const T> vector{"x", n, x, incx};
  const auto sum = [=] {
    double total = 0;
    for (const double value : vector.Values()) total += std::fabs(value);
    return total;
  };
  return Reduce("cublas<t>asum", handle, n <= 0 || incx <= 0, result, sum, vector);
}

template <typename T>
cublasStatus_t Nrm2(cublasHandle_t handle, int n, const T* x, int incx, T* result) {
  const Vector<const T> vector{"x", n, x, incx};
  const auto norm = [=] {
    // hypot() neither overflows nor underflows where the result does not.
    double total = 0;
    for (const double value : vector.Values()) total = std::hypot(total, value);
    return total;
  };
  return Reduce("cublas<t>nrm2", handle, n <= 0 || incx <= 0, result, norm, vector);
}

template <typename T>
cublasStatus_t Gemv(cublasHandle_t handle, cublasOperation_t trans, int m, int n,
                    const T* alpha, const T* A, int lda, const T* x, int incx,
                    const T* beta, T* y, int incy) {
  constexpr const char* kFunction = "cublas<t>gemv";
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!IsOperation(trans) || m < 0 || n < 0 || lda < std::max(1, m) || incx == 0 ||
      incy == 0) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  if (!alpha || !beta) return CUBLAS_STATUS_INVALID_VALUE;
  const Matrix stored{kFormatOf<T>, const_cast<T*>(A), m, n, 1, lda};
  if (!IsScalarInPlace(kFunction, "alpha", handle, alpha, sizeof(T)) ||
      !IsScalarInPlace(kFunction, "beta", handle, beta, sizeof(T)) ||
      !IsOnDevice(kFunction, "A", A, stored.bytes())) {
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  const Matrix matrix = trans == CUBLAS_OP_N ? stored : stored.Transposed();
  const int rows = static_cast<int>(matrix.rows);
  const Vector<const T> from{"x", static_cast<int>(matrix.columns), x, incx};
  const Vector<T> to{"y", rows, y, incy};
  const Scalar scale_of_product(handle->pointer_mode, kFormatOf<T>, alpha);
  const Scalar scale_of_y(handle->pointer_mode, kFormatOf<T>, beta);
  return Run(
      kFunction, handle,
      [=] {
        std::vector<double> product(rows, 0.0);
        const double scale = scale_of_product.value();
        if (scale != 0) {
          // The vectors as rows: y' += x' A'.
          AddProduct(1, rows, matrix.columns, from.Values().data(),
                     Load(matrix.Transposed()).data(), product.data());
        }
        const double scale_there = scale_of_y.value();
        T* const target = to.first();
        for (std::ptrdiff_t i = 0; i < rows; ++i) {
          T& there = target[i * incy];
          there = static_cast<T>(Blend(scale, product[i], scale_there, there));
        }
      },
      from, to);
}

}  // namespace
}  // namespace cuda_emulation

using namespace cuda_emulation;  // NOLINT(build/namespaces)

cublasStatus_t cublasSaxpy(cublasHandle_t handle, int n, const float* alpha,
                           const float* x, int incx, float* y, int incy) {
  return Axpy(handle, n, alpha, x, incx, y, incy);
}

cublasStatus_t cublasDaxpy(cublasHandle_t handle, int n, const double* alpha,
                           const double* x, int incx, double* y, int incy) {
  return Axpy(handle, n, alpha, x, incx, y, incy);
}

cublasStatus_t cublasSscal(cublasHandle_t handle, int n, const float* alpha, float* x,
                           int incx) {
  return Scal(handle, n, alpha, x, incx);
}

cublasStatus_t cublasDscal(cublasHandle_t handle, int n, const double* alpha, double* x,
                           int incx) {
  return Scal(handle, n, alpha, x, incx);
}

cublasStatus_t cublasScopy(cublasHandle_t handle, int n, const float* x, int incx,
                           float* y, int incy) {
  return Copy(handle, n, x, incx, y, incy);
}

cublasStatus_t cublasDcopy(cublasHandle_t handle, int n, const double* x, int incx,
                           double* y, int incy) {
  return Copy(handle, n, x, incx, y, incy);
}

cublasStatus_t cublasSdot(cublasHandle_t handle, int n, const float* x, int incx,
                          const float* y, int incy, float* result) {
  return Dot(handle, n, x, incx, y, incy, result);
}

cublasStatus_t cublasDdot(cublasHandle_t handle, int n, const double* x, int incx,
                          const double* y, int incy, double* result) {
  return Dot(handle, n, x, incx, y, incy, result);
}

cublasStatus_t cublasSasum(cublasHandle_t handle, int n, const float* x, int incx,
                           float* result) {
  return Asum(handle, n, x, incx, result);
}

cublasStatus_t cublasDasum(cublasHandle_t handle, int n, const double* x, int incx,
                           double* result) {
  return Asum(handle, n, x, incx, result);
}

cublasStatus_t cublasSnrm2(cublasHandle_t handle, int n, const float* x, int incx,
                           float* result) {
  return Nrm2(handle, n, x, incx, result);
}

cublasStatus_t cublasDnrm2(cublasHandle_t handle, int n, const double* x, int incx,
                           double* result) {
  return Nrm2(handle, n, x, incx, result);
}

cublasStatus_t cublasSgemv(cublasHandle_t handle, cublasOperation_t trans, int m, int n,
                           const float* alpha, const float* A, int lda, const float* x,
                           int incx, const float* beta, float* y, int incy) {
  return Gemv(handle, trans, m, n, alpha, A, lda, x, incx, beta, y, incy);
}

cublasStatus_t cublasDgemv(cublasHandle_t handle, cublasOperation_t trans, int m, int n,
                           const double* alpha, const double* A, int lda, const double* x,
                           int incx, const double* beta, double* y, int incy) {
  return Gemv(handle, trans, m, n, alpha, A, lda, x, incx, beta, y, incy);
}
