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

/// Elements that a thread has under way at once: one load each would leave half of the
/// bandwidth of a GPU with HBM3 unused.
constexpr int kElementsPerThread = 4;

template <typename V, typename Load, typename Store>
__global__ void LoadAndStore(int count, Load load, Store store) {
  // Unsigned, so that indices behind the last do not overflow.
  const unsigned int n = count, step = blockDim.x;
  const unsigned int first = blockIdx.x * step * kElementsPerThread + threadIdx.x;
  V loaded[kElementsPerThread] = {};
  for (int j = 0; j < kElementsPerThread; ++j) {
    const unsigned int i = first + j * step;
    if (i < n) loaded[j] = load(static_cast<int>(i));
  }
  for (int j = 0; j < kElementsPerThread; ++j) {
    const unsigned int i = first + j * step;
    if (i < n) store(static_cast<int>(i), loaded[j]);
  }
}

/// Calls store(i, load(i)) on the GPU for every i from 0 to count - 1. What is bound by
/// memory runs faster so than with ForEach. load(i), a V, may depend on nothing that
/// store writes for another i.
template <typename V, typename Load, typename Store>
void ForEach(int count, Load load, Store store) {
  constexpr int kThreads = 256, kPerBlock = kThreads * kElementsPerThread;
  const int blocks = count / kPerBlock + (count % kPerBlock > 0);
  LaunchKernel(LoadAndStore<V, Load, Store>, blocks, kThreads, count, load, store);
}

// The functors behind Map.
template <typename S, typename F>
struct Convert {
  F f;
  __device__ S operator()(int i) const { return static_cast<S>(f(i)); }
};
template <typename S>
struct StoreTo {
  S* to;
  __device__ void operator()(int i, S value) const { to[i] = value; }
};

/// to[i] = f(i) for every i from 0 to count - 1; f may read to[i], but no other element
/// of `to`.
template <typename S, typename F>
void Map(int count, S* to, F f) {
  ForEach<S>(count, Convert<S, F>{f}, StoreTo<S>{to});
}

}  // namespace caffe

#endif  // CAFFE_GPU_FOR_EACH_CUH_
