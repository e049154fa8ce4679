// cuBLAS's products of matrices.

#include <cublas_v2.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "cublas_context.h"

namespace cuda_emulation {

bool FormatOf(cudaDataType type, NumberFormat* format) {
  switch (type) {
    case CUDA_R_32F:
      *format = NumberFormat::kFloat;
      return true;
    case CUDA_R_64F:
      *format = NumberFormat::kDouble;
      return true;
    case CUDA_R_16F:
      *format = NumberFormat::kHalf;
      return true;
    case CUDA_R_16BF:
      *format = NumberFormat::kBfloat16;
      return true;
    default:
      return false;
  }
}

bool IsOperation(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N || operation == CUBLAS_OP_T || operation == CUBLAS_OP_C;
}

bool PlanProduct(cudaDataType a, cudaDataType b, cudaDataType c,
                 cublasComputeType_t compute, NumberFormat* scale,
                 FactorPrecision* precision) {
  const auto all = [&](cudaDataType type) { return a == type && b == type && c == type; };
  *precision = FactorPrecision::kFull;
  *scale = NumberFormat::kFloat;
  switch (compute) {
    case CUBLAS_COMPUTE_16F:
    case CUBLAS_COMPUTE_16F_PEDANTIC:
      *scale = NumberFormat::kHalf;
      return all(CUDA_R_16F);
    case CUBLAS_COMPUTE_64F:
    case CUBLAS_COMPUTE_64F_PEDANTIC:
      *scale = NumberFormat::kDouble;
      return all(CUDA_R_64F);
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_PEDANTIC:
      return all(CUDA_R_32F) || ((a == CUDA_R_16F || a == CUDA_R_16BF) && b == a &&
                                 (c == a || c == CUDA_R_32F));
    case CUBLAS_COMPUTE_32F_FAST_16F:
      *precision = FactorPrecision::kHalf;
      return all(CUDA_R_32F);
    case CUBLAS_COMPUTE_32F_FAST_16BF:
      *precision = FactorPrecision::kBfloat16;
      return all(CUDA_R_32F);
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      *precision = FactorPrecision::kTf32;
      return all(CUDA_R_32F);
  }
  return false;
}

std::vector<double> Product(double alpha, const Matrix& a, const Matrix& b,
                            FactorPrecision precision) {
  std::vector<double> product(static_cast<std::size_t>(a.rows * b.columns), 0.0);
  if (alpha == 0) return product;
  std::vector<double> left = Load(a);
  std::vector<double> right = Load(b);
  Round(precision, &left);
  Round(precision, &right);
  AddProduct(a.rows, b.columns, a.columns, left.data(), right.data(), product.data());
  for (double& value : product) value *= alpha;
  return product;
}

void AddTo(const Matrix& c, double beta, std::vector<double> result) {
  if (beta != 0) {
    const std::vector<double> there = Load(c);
    for (std::size_t i = 0; i < result.size(); ++i) result[i] += beta * there[i];
  }
  Store(result, c);
}

namespace {

/// What one of the functions was given: an operand as it lies in memory.
struct Operand {
  const char* name;
  const void* data;
  cudaDataType type;
  int leading;
  long long stride;
};

struct Gemm {
  const char* function;
  cublasOperation_t transa, transb;
  int m, n, k;
  const void* alpha;
  Operand a, b;
  const void* beta;
  Operand c;
  int batch;
  cublasComputeType_t compute;
};

/// The matrix that the operand holds, rows x columns of it once `operation` is applied.
Matrix View(const Operand& operand, cublasOperation_t operation, int rows, int columns) {
  NumberFormat format = NumberFormat::kFloat;
  FormatOf(operand.type, &format);
  void* const data = const_cast<void*>(operand.data);
  if (operation == CUBLAS_OP_N) return {format, data, rows, columns, 1, operand.leading};
  return {format, data, rows, columns, operand.leading, 1};
}

bool IsOperandOnDevice(const Gemm& gemm, const Operand& operand, const Matrix& view) {
  if (view.empty()) return true;
  const std::size_t skipped =
      static_cast<std::size_t>(gemm.batch - 1) * static_cast<std::size_t>(operand.stride);
  return IsOnDevice(gemm.function, operand.name, operand.data,
                    skipped * SizeOf(view.format) + view.bytes());
}

cublasStatus_t Run(cublasHandle_t handle, const Gemm& gemm) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!IsOperation(gemm.transa) || !IsOperation(gemm.transb) || gemm.m < 0 ||
      gemm.n < 0 || gemm.k < 0 || gemm.batch < 0) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const int a_column = gemm.transa == CUBLAS_OP_N ? gemm.m : gemm.k;
  const int b_column = gemm.transb == CUBLAS_OP_N ? gemm.k : gemm.n;
  if (gemm.a.leading < std::max(1, a_column) || gemm.b.leading < std::max(1, b_column) ||
      gemm.c.leading < std::max(1, gemm.m) || gemm.a.stride < 0 || gemm.b.stride < 0 ||
      gemm.c.stride < 0) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  NumberFormat scale;
  FactorPrecision precision;
  if (!PlanProduct(gemm.a.type, gemm.b.type, gemm.c.type, gemm.compute, &scale,
                   &precision)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (gemm.m == 0 || gemm.n == 0 || gemm.batch == 0) return CUBLAS_STATUS_SUCCESS;
  if (!gemm.alpha || !gemm.beta) return CUBLAS_STATUS_INVALID_VALUE;
  const Matrix a = View(gemm.a, gemm.transa, gemm.m, gemm.k);
  const Matrix b = View(gemm.b, gemm.transb, gemm.k, gemm.n);
  const Matrix c = View(gemm.c, CUBLAS_OP_N, gemm.m, gemm.n);
  const bool scalars_on_device = handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE;
  if (!IsCurrent(gemm.function, handle->device) || !IsOperandOnDevice(gemm, gemm.a, a) ||
      !IsOperandOnDevice(gemm, gemm.b, b) || !IsOperandOnDevice(gemm, gemm.c, c) ||
      (scalars_on_device &&
       (!IsOnDevice(gemm.function, "alpha", gemm.alpha, SizeOf(scale)) ||
        !IsOnDevice(gemm.function, "beta", gemm.beta, SizeOf(scale))))) {
    return CUBLAS_STATUS_EXECUTION_FAILED;
  }
  const Scalar alpha(handle->pointer_mode, scale, gemm.alpha);
  const Scalar beta(handle->pointer_mode, scale, gemm.beta);
  void* const workspace = handle->workspace;
  const std::size_t workspace_bytes = handle->workspace_bytes;
  const auto work = [=] {
    Spoil(workspace, workspace_bytes);
    for (int i = 0; i < gemm.batch; ++i) {
      AddTo(c.MovedBy(i * gemm.c.stride), beta.value(),
            Product(alpha.value(), a.MovedBy(i * gemm.a.stride),
                    b.MovedBy(i * gemm.b.stride), precision));
    }
  };
  return StatusOf(Enqueue(handle->stream, work, gemm.function));
}

/// How Sgemm computes.
cublasComputeType_t FloatCompute(cublasHandle_t handle) {
  if (!handle) return CUBLAS_COMPUTE_32F;
  switch (handle->math_mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION) {
    case CUBLAS_TF32_TENSOR_OP_MATH:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case CUBLAS_TENSOR_OP_MATH:
      return CUBLAS_COMPUTE_32F_FAST_16F;
    default:
      return CUBLAS_COMPUTE_32F;
  }
}

}  // namespace
}  // namespace cuda_emulation

using cuda_emulation::FloatCompute;
using cuda_emulation::Run;

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t transa,
                           cublasOperation_t transb, int m, int n, int k,
                           const float* alpha, const float* A, int lda, const float* B,
                           int ldb, const float* beta, float* C, int ldc) {
  return Run(handle, {"cublasSgemm",
                      transa,
                      transb,
                      m,
                      n,
                      k,
                      alpha,
                      {"A", A, CUDA_R_32F, lda, 0},
                      {"B", B, CUDA_R_32F, ldb, 0},
                      beta,
                      {"C", C, CUDA_R_32F, ldc, 0},
                      1,
                      FloatCompute(handle)});
}

cublasStatus_t cublasDgemm(cublasHandle_t handle, cublasOperation_t transa,
                           cublasOperation_t transb, int m, int n, int k,
                           const double* alpha, const double* A, int lda, const double* B,
                           int ldb, const double* beta, double* C, int ldc) {
  return Run(handle, {"cublasDgemm",
                      transa,
                      transb,
                      m,
                      n,
                      k,
                      alpha,
                      {"A", A, CUDA_R_64F, lda, 0},
                      {"B", B, CUDA_R_64F, ldb, 0},
                      beta,
                      {"C", C, CUDA_R_64F, ldc, 0},
                      1,
                      CUBLAS_COMPUTE_64F});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa,
                                         cublasOperation_t transb, int m, int n, int k,
                                         const float* alpha, const float* A, int lda,
                                         long long strideA, const float* B, int ldb,
                                         long long strideB, const float* beta, float* C,
                                         int ldc, long long strideC, int batchCount) {
  return Run(handle, {"cublasSgemmStridedBatched",
                      transa,
                      transb,
                      m,
                      n,
                      k,
                      alpha,
                      {"A", A, CUDA_R_32F, lda, strideA},
                      {"B", B, CUDA_R_32F, ldb, strideB},
                      beta,
                      {"C", C, CUDA_R_32F, ldc, strideC},
                      batchCount,
                      FloatCompute(handle)});
}

cublasStatus_t cublasDgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa,
                                         cublasOperation_t transb, int m, int n, int k,
                                         const double* alpha, const double* A, int lda,
                                         long long strideA, const double* B, int ldb,
                                         long long strideB, const double* beta, double* C,
                                         int ldc, long long strideC, int batchCount) {
  return Run(handle, {"cublasDgemmStridedBatched",
                      transa,
                      transb,
                      m,
                      n,
                      k,
                      alpha,
                      {"A", A, CUDA_R_64F, lda, strideA},
                      {"B", B, CUDA_R_64F, ldb, strideB},
                      beta,
                      {"C", C, CUDA_R_64F, ldc, strideC},
                      batchCount,
                      CUBLAS_COMPUTE_64F});
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa,
                            cublasOperation_t transb, int m, int n, int k,
                            const void* alpha, const void* A, cudaDataType Atype, int lda,
                            const void* B, cudaDataType Btype, int ldb, const void* beta,
                            void* C, cudaDataType Ctype, int ldc,
                            cublasComputeType_t computeType, cublasGemmAlgo_t /*algo*/) {
  return Run(handle, {"cublasGemmEx",
                      transa,
                      transb,
                      m,
                      n,
                      k,
                      alpha,
                      {"A", A, Atype, lda, 0},
                      {"B", B, Btype, ldb, 0},
                      beta,
                      {"C", C, Ctype, ldc, 0},
                      1,
                      computeType});
}

cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m,
    int n, int k, const void* alpha, const void* A, cudaDataType Atype, int lda,
    long long strideA, const void* B, cudaDataType Btype, int ldb, long long strideB,
    const void* beta, void* C, cudaDataType Ctype, int ldc, long long strideC,
    int batchCount, cublasComputeType_t computeType, cublasGemmAlgo_t /*algo*/) {
  return Run(handle, {"cublasGemmStridedBatchedEx",
                      transa,
                      transb,
                      m,
                      n,
                      k,
                      alpha,
                      {"A", A, Atype, lda, strideA},
                      {"B", B, Btype, ldb, strideB},
                      beta,
                      {"C", C, Ctype, ldc, strideC},
                      batchCount,
                      computeType});
}
