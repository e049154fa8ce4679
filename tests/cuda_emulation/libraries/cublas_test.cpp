#include <cublas_v2.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "device_array.h"
#include "tolerance.hpp"

namespace cuda_emulation {
namespace test {
namespace {

using caffe::test::ExpectClose;
using caffe::test::OpKind;
using caffe::test::ToleranceOf;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

class Handle {
 public:
  Handle() { EXPECT_EQ(cublasCreate(&handle_), CUBLAS_STATUS_SUCCESS); }
  ~Handle() { EXPECT_EQ(cublasDestroy(handle_), CUBLAS_STATUS_SUCCESS); }
  Handle(const Handle&) = delete;
  operator cublasHandle_t() const { return handle_; }

 private:
  cublasHandle_t handle_ = nullptr;
};

template <typename T>
struct Functions;
template <>
struct Functions<float> {
  static constexpr auto axpy = cublasSaxpy;
  static constexpr auto scal = cublasSscal;
  static constexpr auto copy = cublasScopy;
  static constexpr auto dot = cublasSdot;
  static constexpr auto asum = cublasSasum;
  static constexpr auto nrm2 = cublasSnrm2;
  static constexpr auto gemv = cublasSgemv;
  static constexpr auto gemm = cublasSgemm;
  static constexpr auto batched = cublasSgemmStridedBatched;
  static constexpr NumberFormat format = NumberFormat::kFloat;
};
template <>
struct Functions<double> {
  static constexpr auto axpy = cublasDaxpy;
  static constexpr auto scal = cublasDscal;
  static constexpr auto copy = cublasDcopy;
  static constexpr auto dot = cublasDdot;
  static constexpr auto asum = cublasDasum;
  static constexpr auto nrm2 = cublasDnrm2;
  static constexpr auto gemv = cublasDgemv;
  static constexpr auto gemm = cublasDgemm;
  static constexpr auto batched = cublasDgemmStridedBatched;
  static constexpr NumberFormat format = NumberFormat::kDouble;
};

/// op(A)(i, j) of a column-major A.
double At(const std::vector<double>& a, cublasOperation_t operation, int leading, int i,
          int j, std::size_t offset = 0) {
  return a[offset + (operation == CUBLAS_OP_N
                         ? i + static_cast<std::size_t>(j) * leading
                         : j + static_cast<std::size_t>(i) * leading)];
}

template <typename T>
class CublasTest : public ::testing::Test {
 protected:
  using Blas = Functions<T>;
  static constexpr NumberFormat kFormat = Blas::format;
  Handle handle_;
};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CublasTest, Types);

TYPED_TEST(CublasTest, GemmWithEveryOperationAndScale) {
  using T = TypeParam;
  using Blas = Functions<T>;
  const int m = 7, n = 5, k = 9, lda = 11, ldb = 10, ldc = 8;
  for (const cublasOperation_t transa : {CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_C}) {
    for (const cublasOperation_t transb : {CUBLAS_OP_N, CUBLAS_OP_T}) {
      for (const T beta : {T(0), T(1), T(-0.5)}) {
        const T alpha = 1.5;
        const std::vector<double> a = Inputs(Blas::format, 1, lda * 11);
        const std::vector<double> b = Inputs(Blas::format, 2, ldb * 11);
        std::vector<double> want(ldc * n, kNaN);
        if (beta != 0) want = Inputs(Blas::format, 3, ldc * n);
        DeviceArray c(Blas::format, want);
        for (int j = 0; j < n; ++j) {
          for (int i = 0; i < m; ++i) {
            double sum = 0;
            for (int p = 0; p < k; ++p) {
              sum += At(a, transa, lda, i, p) * At(b, transb, ldb, p, j);
            }
            double& there = want[i + j * ldc];
            there = alpha * sum + (beta == 0 ? 0 : beta * there);
          }
        }
        ASSERT_EQ(Blas::gemm(this->handle_, transa, transb, m, n, k, &alpha,
                             DeviceArray(Blas::format, a).template as<T>(), lda,
                             DeviceArray(Blas::format, b).template as<T>(), ldb, &beta,
                             c.template as<T>(), ldc),
                  CUBLAS_STATUS_SUCCESS);
        ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
        ExpectClose(c.Read(), want, ToleranceOf<T>(OpKind::kReduction, k), "C");
      }
    }
  }
}

TYPED_TEST(CublasTest, GemmWithoutTermsScalesC) {
  using T = TypeParam;
  using Blas = Functions<T>;
  const DeviceArray factors(Blas::format, std::vector<double>(6, kNaN));
  DeviceArray c(Blas::format, {1, 2, 3, 4, 5, 6});
  const T zero = 0, one = 1, two = 2;
  EXPECT_EQ(Blas::gemm(this->handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 3, 0, &one,
                       factors.as<T>(), 2, factors.as<T>(), 1, &two, c.as<T>(), 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.Read(), (std::vector<double>{2, 4, 6, 8, 10, 12}));
  // The factors are not looked at when alpha is 0.
  EXPECT_EQ(Blas::gemm(this->handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 3, 2, &zero,
                       factors.as<T>(), 2, factors.as<T>(), 2, &two, c.as<T>(), 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.Read(), (std::vector<double>{4, 8, 12, 16, 20, 24}));
}

TYPED_TEST(CublasTest, GemmOfABatch) {
  using T = TypeParam;
  using Blas = Functions<T>;
  const int m = 3, n = 4, k = 5, batch = 3;
  const long long stride_a = 20, stride_b = 0, stride_c = 14;
  const std::vector<double> a = Inputs(Blas::format, 4, stride_a * batch);
  const std::vector<double> b = Inputs(Blas::format, 5, k * n);
  std::vector<double> want = Inputs(Blas::format, 6, stride_c * batch);
  DeviceArray c(Blas::format, want);
  for (int i = 0; i < batch; ++i) {
    for (int row = 0; row < m; ++row) {
      for (int column = 0; column < n; ++column) {
        double sum = 0;
        for (int p = 0; p < k; ++p) {
          sum += At(a, CUBLAS_OP_N, m, row, p, i * stride_a) *
                 At(b, CUBLAS_OP_T, n, p, column);
        }
        want[i * stride_c + row + column * m] += sum;
      }
    }
  }
  const T one = 1;
  DeviceArray device_a(Blas::format, a), device_b(Blas::format, b);
  EXPECT_EQ(Blas::batched(this->handle_, CUBLAS_OP_N, CUBLAS_OP_T, m, n, k, &one,
                          device_a.as<T>(), m, stride_a, device_b.as<T>(), n, stride_b,
                          &one, c.as<T>(), m, stride_c, batch),
            CUBLAS_STATUS_SUCCESS);
  ExpectClose(c.Read(), want, ToleranceOf<T>(OpKind::kReduction, k), "C");
}

TYPED_TEST(CublasTest, GemvWithIncrements) {
  using T = TypeParam;
  using Blas = Functions<T>;
  const int m = 6, n = 4, lda = 7;
  const std::vector<double> a = Inputs(Blas::format, 7, lda * n);
  for (const cublasOperation_t trans : {CUBLAS_OP_N, CUBLAS_OP_T}) {
    const int rows = trans == CUBLAS_OP_N ? m : n;
    const int columns = trans == CUBLAS_OP_N ? n : m;
    for (const int incx : {1, 2, -2}) {
      for (const int incy : {1, -3}) {
        const std::vector<double> x =
            Inputs(Blas::format, 8, 1 + (columns - 1) * std::abs(incx));
        std::vector<double> want =
            Inputs(Blas::format, 9, 1 + (rows - 1) * std::abs(incy));
        DeviceArray y(Blas::format, want);
        const int first_x = incx < 0 ? (1 - columns) * incx : 0;
        const int first_y = incy < 0 ? (1 - rows) * incy : 0;
        for (int i = 0; i < rows; ++i) {
          double sum = 0;
          for (int j = 0; j < columns; ++j) {
            sum += At(a, trans, lda, i, j) * x[first_x + j * incx];
          }
          double& there = want[first_y + i * incy];
          there = 2 * sum - there;
        }
        const T alpha = 2, beta = -1;
        ASSERT_EQ(Blas::gemv(this->handle_, trans, m, n, &alpha,
                             DeviceArray(Blas::format, a).template as<T>(), lda,
                             DeviceArray(Blas::format, x).template as<T>(), incx, &beta,
                             y.template as<T>(), incy),
                  CUBLAS_STATUS_SUCCESS);
        ExpectClose(y.Read(), want, ToleranceOf<T>(OpKind::kReduction, columns), "y");
      }
    }
  }
}

TYPED_TEST(CublasTest, VectorsWithIncrements) {
  using T = TypeParam;
  using Blas = Functions<T>;
  const int n = 4;
  const T alpha = 3;
  DeviceArray x(Blas::format, {1, 2, 3, 4, 5, 6, 7});
  DeviceArray y(Blas::format, {10, 20, 30, 40});
  // From the last to the first of y, as its increment is negative.
  EXPECT_EQ(Blas::axpy(this->handle_, n, &alpha, x.as<T>(), 2, y.as<T>(), -1),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(y.Read(), (std::vector<double>{10 + 21, 20 + 15, 30 + 9, 40 + 3}));
  EXPECT_EQ(Blas::scal(this->handle_, 3, &alpha, x.as<T>(), 3), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(x.Read(), (std::vector<double>{3, 2, 3, 12, 5, 6, 21}));
  EXPECT_EQ(Blas::copy(this->handle_, 2, y.as<T>(), 2, x.as<T>(), -4),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(x.Read(), (std::vector<double>{39, 2, 3, 12, 31, 6, 21}));
}

TYPED_TEST(CublasTest, SumsGoWhereThePointerModeSays) {
  using T = TypeParam;
  using Blas = Functions<T>;
  const DeviceArray x(Blas::format, {3, 9, -4, 9});
  const DeviceArray y(Blas::format, {2, 5});
  T host = -1;
  EXPECT_EQ(Blas::dot(this->handle_, 2, x.as<T>(), 2, y.as<T>(), -1, &host),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host, 3 * 5 - 4 * 2);
  EXPECT_EQ(Blas::asum(this->handle_, 2, x.as<T>(), 2, &host), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host, 7);
  EXPECT_EQ(Blas::nrm2(this->handle_, 2, x.as<T>(), 2, &host), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host, 5);
  EXPECT_EQ(Blas::nrm2(this->handle_, 0, nullptr, 1, &host), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host, 0);

  ASSERT_EQ(cublasSetPointerMode(this->handle_, CUBLAS_POINTER_MODE_DEVICE),
            CUBLAS_STATUS_SUCCESS);
  const DeviceArray result(Blas::format, Unset{1});
  EXPECT_EQ(Blas::dot(this->handle_, 2, x.as<T>(), 2, y.as<T>(), 1, result.as<T>()),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(result.Read().front(), 3 * 2 - 4 * 5);
  EXPECT_EQ(Blas::dot(this->handle_, 2, x.as<T>(), 2, y.as<T>(), 1, &host),
            CUBLAS_STATUS_EXECUTION_FAILED)
      << "host memory in device mode";
}

TYPED_TEST(CublasTest, ScalesInDeviceMemoryAreReadWhenTheWorkRuns) {
  using T = TypeParam;
  using Blas = Functions<T>;
  ASSERT_EQ(cublasSetPointerMode(this->handle_, CUBLAS_POINTER_MODE_DEVICE),
            CUBLAS_STATUS_SUCCESS);
  const DeviceArray scales(Blas::format, {2, 10});
  const DeviceArray a(Blas::format, {3}), b(Blas::format, {4}), c(Blas::format, {1});
  EXPECT_EQ(Blas::gemm(this->handle_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, scales.as<T>(),
                       a.as<T>(), 1, b.as<T>(), 1, scales.as<T>() + 1, c.as<T>(), 1),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.Read().front(), 2 * 12 + 10);
  EXPECT_EQ(Blas::gemv(this->handle_, CUBLAS_OP_N, 1, 1, scales.as<T>(), a.as<T>(), 1,
                       b.as<T>(), 1, scales.as<T>(), c.as<T>(), 1),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.Read().front(), 2 * 12 + 2 * 34);
  EXPECT_EQ(Blas::axpy(this->handle_, 1, scales.as<T>() + 1, a.as<T>(), 1, c.as<T>(), 1),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.Read().front(), 30 + 92);
}

TYPED_TEST(CublasTest, RefusesWhatTheReferenceRefuses) {
  using T = TypeParam;
  using Blas = Functions<T>;
  const DeviceArray a(Blas::format, Unset{64});
  T* const p = a.template as<T>();
  const T one = 1;
  const auto gemm = [&](int m, int n, int k, int lda, int ldb, int ldc,
                        cublasOperation_t transa = CUBLAS_OP_N) {
    return Blas::gemm(this->handle_, transa, CUBLAS_OP_N, m, n, k, &one, p, lda, p, ldb,
                      &one, p, ldc);
  };
  EXPECT_EQ(gemm(2, 3, 4, 2, 4, 2), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(gemm(-1, 3, 4, 2, 4, 2), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(2, -1, 4, 2, 4, 2), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(2, 3, -1, 2, 4, 2), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(2, 3, 4, 1, 4, 2), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(2, 3, 4, 2, 3, 2), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(2, 3, 4, 2, 4, 1), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(2, 3, 4, 2, 4, 2, CUBLAS_OP_T), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(0, 3, 4, 0, 4, 1), CUBLAS_STATUS_INVALID_VALUE) << "lda < max(1, m)";
  EXPECT_EQ(gemm(0, 3, 4, 1, 4, 1), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(gemm(2, 3, 4, 2, 4, 2, static_cast<cublasOperation_t>(7)),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Blas::gemv(this->handle_, CUBLAS_OP_N, 4, 2, &one, p, 3, p, 1, &one, p, 1),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Blas::gemv(this->handle_, CUBLAS_OP_N, 4, 2, &one, p, 4, p, 0, &one, p, 1),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Blas::dot(nullptr, 1, p, 1, p, 1, nullptr), CUBLAS_STATUS_NOT_INITIALIZED);
}

TYPED_TEST(CublasTest, SeesMemoryThatIsNotTheDevices) {
  using T = TypeParam;
  using Blas = Functions<T>;
  const DeviceArray a(Blas::format, Unset{4});
  T host[4] = {};
  T* const p = a.template as<T>();
  const T one = 1;
  EXPECT_EQ(Blas::gemm(this->handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, p, 2, host,
                       2, &one, p, 2),
            CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(Blas::axpy(this->handle_, 4, &one, host, 1, p, 1),
            CUBLAS_STATUS_EXECUTION_FAILED);
}

TEST(CublasFormatsTest, GemmExOfEveryFormat) {
  struct Case {
    cudaDataType factors, result;
    NumberFormat factors_format, result_format;
    cublasComputeType_t compute;
  };
  const std::vector<Case> cases = {
      {CUDA_R_16F, CUDA_R_16F, NumberFormat::kHalf, NumberFormat::kHalf,
       CUBLAS_COMPUTE_32F},
      {CUDA_R_16F, CUDA_R_32F, NumberFormat::kHalf, NumberFormat::kFloat,
       CUBLAS_COMPUTE_32F},
      {CUDA_R_16BF, CUDA_R_16BF, NumberFormat::kBfloat16, NumberFormat::kBfloat16,
       CUBLAS_COMPUTE_32F},
      {CUDA_R_16BF, CUDA_R_32F, NumberFormat::kBfloat16, NumberFormat::kFloat,
       CUBLAS_COMPUTE_32F_PEDANTIC},
      {CUDA_R_32F, CUDA_R_32F, NumberFormat::kFloat, NumberFormat::kFloat,
       CUBLAS_COMPUTE_32F},
  };
  const Handle handle;
  const int m = 4, n = 3, k = 20;
  for (const Case& one : cases) {
    const std::vector<double> a = Inputs(one.factors_format, 11, m * k);
    const std::vector<double> b = Inputs(one.factors_format, 12, k * n);
    std::vector<double> want = Inputs(one.result_format, 13, m * n);
    const DeviceArray c(one.result_format, want);
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        double sum = 0;
        for (int p = 0; p < k; ++p) sum += a[i + p * m] * b[p + j * k];
        want[i + j * m] = 0.5 * sum + 2 * want[i + j * m];
      }
    }
    const DeviceArray device_a(one.factors_format, a), device_b(one.factors_format, b);
    const float alpha = 0.5, beta = 2;
    EXPECT_EQ(
        cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &alpha, device_a.data(),
                     one.factors, m, device_b.data(), one.factors, k, &beta, c.data(),
                     one.result, m, one.compute, CUBLAS_GEMM_DEFAULT),
        CUBLAS_STATUS_SUCCESS);
    ExpectClose(c.Read(), Rounded(one.result_format, want),
                ToleranceOf<float>(OpKind::kElementwise), "C");
  }
  const DeviceArray p(NumberFormat::kDouble, Unset{1});
  const double one = 1;
  EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, p.data(),
                         CUDA_R_16F, 1, p.data(), CUDA_R_16BF, 1, &one, p.data(),
                         CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, p.data(),
                         CUDA_R_64F, 1, p.data(), CUDA_R_64F, 1, &one, p.data(),
                         CUDA_R_64F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST(CublasPrecisionTest, FloatIsReducedOnlyWhereThatIsAsked) {
  const Handle handle;
  const double fine = 1 + 0x1p-12;  // TF32 has no such number
  const DeviceArray a(NumberFormat::kFloat, {fine}), b(NumberFormat::kFloat, {1});
  const DeviceArray c(NumberFormat::kFloat, Unset{1});
  const float one = 1, zero = 0;
  const auto product = [&] {
    EXPECT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.as<float>(),
                          1, b.as<float>(), 1, &zero, c.as<float>(), 1),
              CUBLAS_STATUS_SUCCESS);
    return c.Read().front();
  };
  EXPECT_EQ(product(), fine);
  EXPECT_EQ(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(product(), 1);
  EXPECT_EQ(cublasSetMathMode(handle, CUBLAS_PEDANTIC_MATH), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(product(), fine);
  EXPECT_EQ(cublasSetMathMode(handle, static_cast<cublasMath_t>(7)),
            CUBLAS_STATUS_INVALID_VALUE);
  cublasMath_t mode = CUBLAS_DEFAULT_MATH;
  EXPECT_EQ(cublasGetMathMode(handle, &mode), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(mode, CUBLAS_PEDANTIC_MATH);
}

TEST(CublasHandleTest, ProductsOverwriteTheWorkspaceThatAStreamTakesAway) {
  const Handle handle;
  const DeviceArray workspace(NumberFormat::kFloat, std::vector<double>(128, 7));
  const DeviceArray p(NumberFormat::kFloat, {1});
  const float one = 1;
  const auto multiply = [&] {
    EXPECT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, p.as<float>(),
                          1, p.as<float>(), 1, &one, p.as<float>(), 1),
              CUBLAS_STATUS_SUCCESS);
  };
  ASSERT_EQ(cublasSetWorkspace(handle, workspace.data(), workspace.bytes()),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasSetStream(handle, nullptr), CUBLAS_STATUS_SUCCESS);
  multiply();
  EXPECT_EQ(workspace.Read(), std::vector<double>(128, 7));
  ASSERT_EQ(cublasSetWorkspace(handle, workspace.data(), workspace.bytes()),
            CUBLAS_STATUS_SUCCESS);
  multiply();
  for (const double value : workspace.Read()) EXPECT_TRUE(std::isnan(value));
  EXPECT_EQ(cublasSetWorkspace(handle, workspace.as<char>() + 64, 64),
            CUBLAS_STATUS_INVALID_VALUE);
}

TEST(CublasHandleTest, KnowsItsVersionAndErrors) {
  const Handle handle;
  int version = 0, major = 0;
  EXPECT_EQ(cublasGetVersion(handle, &version), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(version, CUBLAS_VERSION);
  EXPECT_EQ(cublasGetProperty(MAJOR_VERSION, &major), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(major, CUBLAS_VER_MAJOR);
  EXPECT_STREQ(cublasGetStatusName(CUBLAS_STATUS_NOT_SUPPORTED),
               "CUBLAS_STATUS_NOT_SUPPORTED");
  EXPECT_STRNE(cublasGetStatusString(CUBLAS_STATUS_INVALID_VALUE),
               cublasGetStatusString(CUBLAS_STATUS_EXECUTION_FAILED));
}

}  // namespace
}  // namespace test
}  // namespace cuda_emulation
