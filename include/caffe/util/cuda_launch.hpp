#ifndef CAFFE_UTIL_CUDA_LAUNCH_H_
#define CAFFE_UTIL_CUDA_LAUNCH_H_

#ifndef CPU_ONLY

#include "caffe/common.hpp"

namespace caffe {

/// Where the calling thread's kernels start: on the default stream, but while they are
/// recorded (src/caffe/gpu/graph.cpp).
inline cudaStream_t& LaunchStream() {
  static thread_local cudaStream_t stream = nullptr;
  return stream;
}

template <typename... Params>
cudaError_t StartKernel(void (*kernel)(Params...), int blocks, int threads,
                        Params... params) {
  void* addresses[] = {static_cast<void*>(&params)..., nullptr};
  return cudaLaunchKernel(kernel, dim3(blocks), dim3(threads), addresses, 0,
                          LaunchStream());
}

/// Starts `kernel` on the thread's stream with `blocks` blocks of `threads` threads.
///
/// Every kernel of this library starts here and none with <<<>>>, so that a .cu file
/// is plain C++ to a compiler that has an emulated cuda_runtime.h. Arguments convert
/// to the kernel's parameter types. No blocks is no work, which CUDA itself refuses.
/// C++11 and CUDA 10 are enough: plugin/ compiles this for other people's Caffe.
template <typename... Params, typename... Args>
void LaunchKernel(void (*kernel)(Params...), int blocks, int threads, Args... args) {
  if (blocks == 0) return;
  CUDA_CHECK(
      StartKernel<Params...>(kernel, blocks, threads, static_cast<Params>(args)...));
}

}  // namespace caffe

#endif  // CPU_ONLY

#endif  // CAFFE_UTIL_CUDA_LAUNCH_H_
