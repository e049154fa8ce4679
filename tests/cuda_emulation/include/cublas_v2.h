#ifndef CUDA_EMULATION_CUBLAS_V2_H_
#define CUDA_EMULATION_CUBLAS_V2_H_

// No layer with device code calls cuBLAS yet: only the types in common.hpp are needed.

enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_NOT_INITIALIZED = 1 };
using cublasHandle_t = struct cublasContext*;

#endif  // CUDA_EMULATION_CUBLAS_V2_H_
