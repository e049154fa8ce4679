#ifndef CAFFE_UTIL_CUDA_LAUNCH_H_
#define CAFFE_UTIL_CUDA_LAUNCH_H_

#ifndef CPU_ONLY

#include "caffe/common.hpp"

namespace caffe {

/// Starts `kernel` on the default stream with `blocks` blocks of `threads` threads.
///
/// Every kernel of this library starts here and none with <<<>>>, so that a .cu file
/// is plain C++ to a compiler that has an emulated cuda_runtime.h. Arguments convert
/// to the kernel's parameter types. No blocks is no work, which CUDA itself refuses.
template <typename... Params, typename... Args>
void LaunchKernel(void (*kernel)(Params...), int blocks, int threads, Args... args) {
  if (blocks == 0) return;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...));
}

}  // namespace caffe

#endif  // CPU_ONLY

#endif  // CAFFE_UTIL_CUDA_LAUNCH_H_
