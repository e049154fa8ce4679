#ifndef CUDA_EMULATION_CUBLAS_CONTEXT_H_
#define CUDA_EMULATION_CUBLAS_CONTEXT_H_

#include <cublasLt.h>
#include <cublas_v2.h>

#include <cstddef>

#include "library_call.h"
#include "matrix.h"
#include "number_format.h"

/// A handle of cuBLAS is one of cuBLASLt as well, by a cast.
struct cublasLtContext {
  int device;
};

struct cublasContext : cublasLtContext {
  cudaStream_t stream = nullptr;
  cublasPointerMode_t pointer_mode = CUBLAS_POINTER_MODE_HOST;
  cublasMath_t math_mode = CUBLAS_DEFAULT_MATH;
  cublasAtomicsMode_t atomics_mode = CUBLAS_ATOMICS_NOT_ALLOWED;
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
};

namespace cuda_emulation {

/// alpha or beta. In host memory it is read now, by the call; in device memory when the
/// work runs.
class Scalar {
 public:
  Scalar(cublasPointerMode_t mode, NumberFormat format, const void* pointer)
      : format_(format),
        later_(mode == CUBLAS_POINTER_MODE_DEVICE ? pointer : nullptr),
        value_(later_ ? 0 : LoadOne(format, pointer)) {}
  /// For when the work runs.
  double value() const { return later_ ? LoadOne(format_, later_) : value_; }

 private:
  NumberFormat format_;
  const void* later_;
  double value_;
};

/// The format that cuBLAS calls `type`; false for one that it has and we have not.
bool FormatOf(cudaDataType type, NumberFormat* format);

bool IsOperation(cublasOperation_t operation);

/// Formats of a product and what becomes of its factors; false when cuBLAS does not
/// have this combination. `scale` is that of alpha and beta.
bool PlanProduct(cudaDataType a, cudaDataType b, cudaDataType c,
                 cublasComputeType_t compute, NumberFormat* scale,
                 FactorPrecision* precision);

/// alpha a b, dense and row by row; 0 without a look at the factors if alpha is 0.
std::vector<double> Product(double alpha, const Matrix& a, const Matrix& b,
                            FactorPrecision precision);

/// c = result + beta c, where c is not read if beta is 0.
void AddTo(const Matrix& c, double beta, std::vector<double> result);

inline cublasStatus_t StatusOf(cudaError_t error) {
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_CUBLAS_CONTEXT_H_
