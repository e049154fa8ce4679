#ifndef CAFFE_UTIL_DEVICE_ALTERNATE_H_
#define CAFFE_UTIL_DEVICE_ALTERNATE_H_

#ifdef CPU_ONLY

#include <vector>

#define NO_GPU LOG(FATAL) << "Cannot use GPU in CPU-only Caffe: check mode."

#define STUB_GPU(classname)                                                          \
  template <typename Dtype>                                                          \
  void classname<Dtype>::Forward_gpu(const std::vector<Blob<Dtype>*>& /*bottom*/,    \
                                     const std::vector<Blob<Dtype>*>& /*top*/) {     \
    NO_GPU;                                                                          \
  }                                                                                  \
  template <typename Dtype>                                                          \
  void classname<Dtype>::Backward_gpu(const std::vector<Blob<Dtype>*>& /*top*/,      \
                                      const std::vector<bool>& /*down*/,             \
                                      const std::vector<Blob<Dtype>*>& /*bottom*/) { \
    NO_GPU;                                                                          \
  }

#else

#include <cublas_v2.h>
#include <cuda.h>
#include <cuda_runtime.h>
#include <curand.h>
#include <driver_types.h>
#ifdef USE_CUDNN
#include "caffe/util/cudnn.hpp"
#endif

#define CUDA_CHECK(condition)                                  \
  do {                                                         \
    cudaError_t error = condition;                             \
    CHECK_EQ(error, cudaSuccess) << cudaGetErrorString(error); \
  } while (0)

#define CUDA_KERNEL_LOOP(i, n)                                 \
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); \
       i += blockDim.x * gridDim.x)

namespace caffe {

const int CAFFE_CUDA_NUM_THREADS = 512;
inline int CAFFE_GET_BLOCKS(const int N) {
  return (N + CAFFE_CUDA_NUM_THREADS - 1) / CAFFE_CUDA_NUM_THREADS;
}

}  // namespace caffe

#endif  // CPU_ONLY

#endif  // CAFFE_UTIL_DEVICE_ALTERNATE_H_
