#ifndef CUDA_EMULATION_CUBLASLT_H_
#define CUDA_EMULATION_CUBLASLT_H_

#include <cublas_v2.h>

extern "C" {
struct cublasLtContext;
typedef struct cublasLtContext* cublasLtHandle_t;
}

#endif  // CUDA_EMULATION_CUBLASLT_H_
