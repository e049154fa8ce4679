#ifndef CAFFE_GPU_FOR_EACH_CUH_
#define CAFFE_GPU_FOR_EACH_CUH_

#include "caffe/util/cuda_launch.hpp"

namespace caffe {

template <typename F>
__global__ void ForEachKernel(int count, F f) {
  CUDA_KERNEL_LOOP(i, count) { f(i); }
}

/// Calls f(i) on the GPU for every i from 0 to count - 1, in any order. f is a functor,
/// or a `[=] __device__(int i)` in a function that is no member of a class.
template <typename F>
void ForEach(int count, F f) {
  LaunchKernel(ForEachKernel<F>, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS, count,
               f);
}

}  // namespace caffe

#endif  // CAFFE_GPU_FOR_EACH_CUH_
