#ifndef CAFFE_UTIL_DEVICE_ALTERNATE_H_
#define CAFFE_UTIL_DEVICE_ALTERNATE_H_

#include "caffe/util/host_device.hpp"

#ifdef CPU_ONLY

// Bodies for the device half of a layer in a build without CUDA.

#define NO_GPU                                                              \
  throw ::caffe::RuntimeFailure(                                            \
      "this build of Caffe has no GPU support; to run on the CPU, leave "   \
      "caffe.set_mode_gpu(), caffe.set_device() and the flag -gpu out and " \
      "write `solver_mode: CPU` in the solver")

#define STUB_GPU(classname)                                                          \
  template <typename Dtype>                                                          \
  void classname<Dtype>::Forward_gpu(const std::vector<Blob<Dtype>*>& /*bottom*/,    \
                                     const std::vector<Blob<Dtype>*>& /*top*/) {     \
    NO_GPU;                                                                          \
  }                                                                                  \
  template <typename Dtype>                                                          \
  void classname<Dtype>::Backward_gpu(const std::vector<Blob<Dtype>*>& /*top*/,      \
                                      const std::vector<bool>& /*propagate_down*/,   \
                                      const std::vector<Blob<Dtype>*>& /*bottom*/) { \
    NO_GPU;                                                                          \
  }

#define STUB_GPU_FORWARD(classname, funcname)                                          \
  template <typename Dtype>                                                            \
  void classname<Dtype>::funcname##_##gpu(const std::vector<Blob<Dtype>*>& /*bottom*/, \
                                          const std::vector<Blob<Dtype>*>& /*top*/) {  \
    NO_GPU;                                                                            \
  }

#define STUB_GPU_BACKWARD(classname, funcname)                                           \
  template <typename Dtype>                                                              \
  void classname<Dtype>::funcname##_##gpu(const std::vector<Blob<Dtype>*>& /*top*/,      \
                                          const std::vector<bool>& /*propagate_down*/,   \
                                          const std::vector<Blob<Dtype>*>& /*bottom*/) { \
    NO_GPU;                                                                              \
  }

#else  // CPU_ONLY

#include <cublas_v2.h>
#include <cuda.h>
#include <cuda_runtime.h>
#include <curand.h>
#include <driver_types.h>
#ifdef USE_CUDNN
#include "caffe/util/cudnn.hpp"
#endif

#define CUDA_CHECK(condition)                                                  \
  do {                                                                         \
    const cudaError_t cuda_error = (condition);                                \
    if (cuda_error != cudaSuccess) {                                           \
      throw ::caffe::RuntimeFailure(::caffe::Str(                              \
          "CUDA: ", #condition, " failed: ", cudaGetErrorString(cuda_error))); \
    }                                                                          \
  } while (0)

#define CUBLAS_CHECK(condition)                                                     \
  do {                                                                              \
    const cublasStatus_t cublas_status = (condition);                               \
    if (cublas_status != CUBLAS_STATUS_SUCCESS) {                                   \
      throw ::caffe::RuntimeFailure(                                                \
          ::caffe::Str("cuBLAS: ", #condition,                                      \
                       " failed: ", ::caffe::cublasGetErrorString(cublas_status))); \
    }                                                                               \
  } while (0)

#define CURAND_CHECK(condition)                                                     \
  do {                                                                              \
    const curandStatus_t curand_status = (condition);                               \
    if (curand_status != CURAND_STATUS_SUCCESS) {                                   \
      throw ::caffe::RuntimeFailure(                                                \
          ::caffe::Str("cuRAND: ", #condition,                                      \
                       " failed: ", ::caffe::curandGetErrorString(curand_status))); \
    }                                                                               \
  } while (0)

// A grid-stride loop over n elements inside a kernel. Differs from BVLC: the step is
// compared with what is left, so that i cannot overflow when n is near INT_MAX.
// clang-format off
#define CUDA_KERNEL_LOOP(i, n)                                                       \
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n);                       \
       i = static_cast<unsigned int>((n) - i) > blockDim.x * gridDim.x               \
               ? i + static_cast<int>(blockDim.x * gridDim.x)                        \
               : static_cast<int>(n))
// clang-format on

// Reports a failed kernel launch.
#define CUDA_POST_KERNEL_CHECK CUDA_CHECK(cudaPeekAtLastError())

namespace caffe {

const char* cublasGetErrorString(cublasStatus_t error);
const char* curandGetErrorString(curandStatus_t error);

/// Threads per block of element-wise kernels.
const int CAFFE_CUDA_NUM_THREADS = 512;

/// Blocks that cover N elements with CAFFE_CUDA_NUM_THREADS threads each.
inline int CAFFE_GET_BLOCKS(const int N) {
  return (N + CAFFE_CUDA_NUM_THREADS - 1) / CAFFE_CUDA_NUM_THREADS;
}

}  // namespace caffe

#endif  // CPU_ONLY

#endif  // CAFFE_UTIL_DEVICE_ALTERNATE_H_
