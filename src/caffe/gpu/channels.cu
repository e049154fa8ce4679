#include "caffe/gpu/channels.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/workspace.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
// Enough for every multiprocessor of a large GPU to have several.
constexpr int kWantedBlocks = 1024;
// Elements of one channel and image that a warp adds up before it goes on.
constexpr int kSegment = 1024;

// The rows of an array that one block adds up; there are `chunks` of them.
struct Chunk {
  int first, last;
};

__device__ Chunk ChunkOf(int chunk, int chunks, int rows) {
  const int length = (rows + chunks - 1) / chunks;
  const int first = min(chunk * length, rows);
  return {first, min(first + length, rows)};
}

// Of a channel that has one chunk alone the sum is ready.
template <typename T>
__device__ void Leave(double sum, int c, int channels, int chunk, int chunks,
                      double* partial, T* sums) {
  if (chunks == 1) {
    sums[c] += static_cast<T>(sum);
  } else {
    partial[static_cast<std::int64_t>(chunk) * channels + c] = sum;
  }
}

// A block does one chunk of one channel. Its warps take the segments of the images in
// turn, so that lanes read what lies side by side.
template <typename T>
__global__ void SumPlain(ChannelShape shape, int chunks, const T* x, double* partial,
                         T* sums) {
  const int c = blockIdx.x % shape.channels, chunk = blockIdx.x / shape.channels;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int segments = (shape.spatial + kSegment - 1) / kSegment;
  const Chunk rows = ChunkOf(chunk, chunks, shape.num * segments);
  double sum = 0;
  for (int row = rows.first + warp; row < rows.last; row += kWarps) {
    const int n = row / segments, begin = row % segments * kSegment;
    const int end = min(begin + kSegment, shape.spatial);
    const T* image =
        x + (static_cast<std::int64_t>(n) * shape.channels + c) * shape.spatial;
    for (int s = begin + lane; s < end; s += kWarp) sum += image[s];
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) Leave(sum, c, shape.channels, chunk, chunks, partial, sums);
}

// A block does one chunk of as many channels as a warp has lanes.
template <typename T, typename S>
__global__ void SumChannelsLast(ChannelShape shape, int chunks, const S* x,
                                double* partial, T* sums) {
  __shared__ double of_warps[kThreads];
  const int tiles = (shape.channels + kWarp - 1) / kWarp;
  const int chunk = blockIdx.x / tiles;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int c = blockIdx.x % tiles * kWarp + lane;
  const Chunk rows = ChunkOf(chunk, chunks, shape.num * shape.spatial);
  double sum = 0;
  for (int row = rows.first + warp; row < rows.last && c < shape.channels;
       row += kWarps) {
    sum += static_cast<T>(x[static_cast<std::int64_t>(row) * shape.channels + c]);
  }
  of_warps[threadIdx.x] = sum;
  __syncthreads();
  if (warp > 0 || c >= shape.channels) return;
  for (int other = 1; other < kWarps; ++other) sum += of_warps[other * kWarp + lane];
  Leave(sum, c, shape.channels, chunk, chunks, partial, sums);
}

template <typename T>
__global__ void SumChunks(int channels, int chunks, const double* partial, T* sums) {
  CUDA_KERNEL_LOOP(c, channels) {
    double sum = 0;
    for (int chunk = 0; chunk < chunks; ++chunk) {
      sum += partial[static_cast<std::int64_t>(chunk) * channels + c];
    }
    sums[c] += static_cast<T>(sum);
  }
}

template <typename T, typename S>
__device__ T Finished(T value, const T* bias, int c, const S* addend, int i, bool relu) {
  if (bias) value += bias[c];
  if (addend) value += static_cast<T>(addend[i]);
  return !relu || value > 0 ? value : value * T(0) + T(0);
}

// One block does the elements of one channel of one image.
template <typename T>
__global__ void FinishPlain(ChannelShape shape, const T* bias, const T* addend, bool relu,
                            T* y) {
  const int c = blockIdx.x % shape.channels;
  const int first = blockIdx.x * shape.spatial;
  for (int s = threadIdx.x; s < shape.spatial; s += blockDim.x) {
    y[first + s] = Finished(y[first + s], bias, c, addend, first + s, relu);
  }
}

template <typename T, typename S>
__global__ void FinishChannelsLast(int count, int channels, const T* bias,
                                   const S* addend, bool relu, S* y) {
  CUDA_KERNEL_LOOP(i, count) {
    const T value = static_cast<T>(y[i]);
    y[i] = static_cast<S>(Finished(value, bias, i % channels, addend, i, relu));
  }
}

// For arrays with few positions, such as weights: each thread does those of one channel.
template <typename T, typename S>
void AddPositions(int rows, int channels, int spatial, const S* from, T* to) {
  ForEach(rows, [=] __device__(int row) {
    const int n = row / channels, c = row % channels;
    for (int s = 0; s < spatial; ++s) {
      to[row * spatial + s] += static_cast<T>(from[(n * spatial + s) * channels + c]);
    }
  });
}

}  // namespace

template <typename T>
void AddChannelSums(DeviceFormat format, ChannelShape shape, const void* x, T* sums) {
  if (shape.num == 0 || shape.channels == 0 || shape.spatial == 0) return;
  const bool plain = format.layout == DeviceLayout::kPlain && shape.spatial > 1;
  const int tiles = plain ? shape.channels : (shape.channels + kWarp - 1) / kWarp;
  const int rows = plain ? shape.num * ((shape.spatial + kSegment - 1) / kSegment)
                         : shape.num * shape.spatial;
  const int chunks =
      std::max(std::min(kWantedBlocks / tiles, (rows + kWarps - 1) / kWarps), 1);
  double* partial = nullptr;
  if (chunks > 1) {
    partial = static_cast<double*>(
        Workspace(static_cast<std::size_t>(chunks) * shape.channels * sizeof(double)));
  }
  if (plain) {
    LaunchKernel(SumPlain<T>, chunks * tiles, kThreads, shape, chunks,
                 static_cast<const T*>(x), partial, sums);
  } else {
    WithElement<T>(format.type, [&]<typename S>(S) {
      LaunchKernel(SumChannelsLast<T, S>, chunks * tiles, kThreads, shape, chunks,
                   static_cast<const S*>(x), partial, sums);
    });
  }
  if (chunks == 1) return;
  LaunchKernel(SumChunks<T>, CAFFE_GET_BLOCKS(shape.channels), CAFFE_CUDA_NUM_THREADS,
               shape.channels, chunks, partial, sums);
}

template <typename T>
void FinishChannels(DeviceFormat format, ChannelShape shape, const T* bias,
                    const void* addend, bool relu, void* y) {
  if (!bias && !addend && !relu) return;
  if (format.layout == DeviceLayout::kPlain && shape.spatial > 1) {
    LaunchKernel(FinishPlain<T>, shape.num * shape.channels, ThreadsFor(shape.spatial),
                 shape, bias, static_cast<const T*>(addend), relu, static_cast<T*>(y));
    return;
  }
  const int count = shape.num * shape.channels * shape.spatial;
  WithElement<T>(format.type, [&]<typename S>(S) {
    LaunchKernel(FinishChannelsLast<T, S>, CAFFE_GET_BLOCKS(count),
                 CAFFE_CUDA_NUM_THREADS, count, shape.channels, bias,
                 static_cast<const S*>(addend), relu, static_cast<S*>(y));
  });
}

template <typename T>
void AddToPlain(ChannelShape shape, DeviceType type, const void* channels_last,
                T* plain) {
  WithElement<T>(type, [&]<typename S>(S) {
    AddPositions(shape.num * shape.channels, shape.channels, shape.spatial,
                 static_cast<const S*>(channels_last), plain);
  });
}

#define INSTANTIATE_CHANNELS(T)                                                         \
  template void AddToPlain(ChannelShape, DeviceType, const void*, T*);                  \
  template void AddChannelSums(DeviceFormat, ChannelShape, const void*, T*);            \
  template void FinishChannels(DeviceFormat, ChannelShape, const T*, const void*, bool, \
                               void*)
INSTANTIATE_CHANNELS(float);
INSTANTIATE_CHANNELS(double);

}  // namespace caffe
