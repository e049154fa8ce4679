#ifndef CAFFE_UTIL_CHANNEL_PASSES_CUH_
#define CAFFE_UTIL_CHANNEL_PASSES_CUH_

// Passes over arrays in device memory of which each channel has values of its own. C++11,
// for plugin/.

#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {

/// An array (num, channels, spatial), or (num, spatial, channels) with the channels last.
struct DeviceShape {
  int num, channels, spatial;
  bool channels_last;

  __host__ __device__ int count() const { return num * channels * spatial; }
  /// Elements of a channel.
  __host__ __device__ int per_channel() const { return num * spatial; }
  /// The i-th element of channel c, counted over images and positions.
  __host__ __device__ size_t IndexOf(int c, int i) const {
    if (channels_last) return static_cast<size_t>(i) * channels + c;
    const size_t row = static_cast<size_t>(i / spatial) * channels + c;
    return row * spatial + i % spatial;
  }
};

/// Threads of a block in passes over all elements.
constexpr int kPassThreads = 256;
/// Elements of one row (n, c) that a warp works on.
constexpr int kRowChunk = 1024;
constexpr int kMostBlocks = 1 << 16;

/// Plain arrays: a warp takes a row, or a chunk of one, so that no element has to find
/// its channel by division.
template <typename F>
__global__ void ForRows(DeviceShape shape, int chunks, F f) {
  const int lane = threadIdx.x % kWarp, warps = kPassThreads / kWarp;
  const int tasks = shape.num * shape.channels * chunks;
  for (int task = blockIdx.x * warps + threadIdx.x / kWarp; task < tasks;
       task += gridDim.x * warps) {
    const int row = task / chunks;
    const int begin = task % chunks * kRowChunk;
    const int end = shape.spatial - begin < kRowChunk ? shape.spatial : begin + kRowChunk;
    const int c = row % shape.channels;
    const size_t first = static_cast<size_t>(row) * shape.spatial;
    for (int s = begin + lane; s < end; s += kWarp) f(row, c, first + s);
  }
}

/// Channels last: a thread keeps its channels, and takes every gridDim.x-th position.
template <typename F>
__global__ void ForPositions(DeviceShape shape, F f) {
  for (int i = blockIdx.x; i < shape.per_channel(); i += gridDim.x) {
    const size_t first = static_cast<size_t>(i) * shape.channels;
    const int row = i / shape.spatial * shape.channels;
    for (int c = threadIdx.x; c < shape.channels; c += blockDim.x) {
      f(row + c, c, first + c);
    }
  }
}

inline int Smaller(int a, int b) { return a < b ? a : b; }

/// Calls f(row, c, index) for every element of channel c, where row counts (n, c).
template <typename F>
void ForChannels(const DeviceShape& shape, const F& f) {
  if (shape.channels_last) {
    const int threads =
        Smaller((shape.channels + kWarp - 1) / kWarp * kWarp, kPassThreads);
    LaunchKernel(ForPositions<F>, Smaller(shape.per_channel(), kMostBlocks), threads,
                 shape, f);
    return;
  }
  const int chunks = (shape.spatial + kRowChunk - 1) / kRowChunk;
  const int warps = kPassThreads / kWarp;
  const long long tasks = static_cast<long long>(shape.num) * shape.channels * chunks;
  const long long blocks = (tasks + warps - 1) / warps;
  LaunchKernel(ForRows<F>, blocks < kMostBlocks ? static_cast<int>(blocks) : kMostBlocks,
               kPassThreads, shape, chunks, f);
}

}  // namespace caffe

#endif  // CAFFE_UTIL_CHANNEL_PASSES_CUH_
