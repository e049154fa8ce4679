#ifndef CAFFE_UTIL_BLOCK_SUM_CUH_
#define CAFFE_UTIL_BLOCK_SUM_CUH_

#include "caffe/util/device_alternate.hpp"

namespace caffe {

constexpr int kWarp = 32;
constexpr int kMostThreads = 512;

/// Threads for a block that walks `length` elements: enough to give each about four,
/// as a whole number of warps that is a power of two.
inline int ThreadsFor(int length) {
  int threads = kWarp;
  while (threads < kMostThreads && threads < length / 4) threads *= 2;
  return threads;
}

template <typename Dtype>
__device__ Dtype WarpSum(Dtype value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_down_sync(0xffffffffu, value, offset);
  }
  return value;
}

/// Sum of `value` over the block, in every thread. The order of the additions depends
/// on the block's size alone, so equal inputs give equal bits, which atomics would not.
/// All threads of the block call it; the block is a whole number of warps.
template <typename Dtype>
__device__ Dtype BlockSum(Dtype value) {
  __shared__ Dtype partial[kMostThreads / kWarp];
  const int lane = threadIdx.x % kWarp;
  const int warp = threadIdx.x / kWarp;
  const int warps = blockDim.x / kWarp;
  value = WarpSum(value);
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  if (warp == 0) {
    value = WarpSum(lane < warps ? partial[lane] : Dtype(0));
    if (lane == 0) partial[0] = value;
  }
  __syncthreads();
  value = partial[0];
  // The next call writes `partial` again.
  __syncthreads();
  return value;
}

}  // namespace caffe

#endif  // CAFFE_UTIL_BLOCK_SUM_CUH_
