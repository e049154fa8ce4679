#ifndef CAFFE_OPS_SOFTMAX_CUH_
#define CAFFE_OPS_SOFTMAX_CUH_

// Softmax on a GPU, along the middle axis of (outer, channels, inner).
//
// Each algorithm stands here once, for a team of threads that works on one row: a block
// where the channels lie side by side and are many; else a single thread, whose
// neighbours then read what lies beside.

#include <cmath>
#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/util/accurate_math.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace softmax {

struct Shape {
  int outer, channels, inner;
};

/// The layout in which the softmax of `axis` can be worked on, given the newest copy's.
inline DeviceLayout LayoutFor(int axis, DeviceLayout layout) {
  return axis == 1 ? layout : DeviceLayout::kPlain;
}

/// Of a tensor in a layout that LayoutFor() allows.
inline Shape ShapeOf(const std::vector<int>& shape, int axis, DeviceLayout layout) {
  Shape seen{1, shape[axis], 1};
  const bool channels_last = layout == DeviceLayout::kChannelsLast;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (i != axis) (i < axis || channels_last ? seen.outer : seen.inner) *= shape[i];
  }
  return seen;
}

struct ThreadTeam {
  __device__ int rank() const { return 0; }
  __device__ int size() const { return 1; }
  template <typename T>
  __device__ T Sum(T value) const {
    return value;
  }
  template <typename T>
  __device__ T Max(T value) const {
    return value;
  }
};

/// The largest `value` of the block's threads, in every thread. The block is
/// a whole number of warps.
template <typename T>
__device__ T BlockMax(T value) {
  __shared__ T partial[kMostThreads / kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int warps = blockDim.x / kWarp;
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const T other = __shfl_down_sync(0xffffffffu, value, offset);
    if (value < other) value = other;
  }
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  value = partial[0];
  for (int w = 1; w < warps; ++w) {
    if (value < partial[w]) value = partial[w];
  }
  // The next call writes `partial` again.
  __syncthreads();
  return value;
}

struct BlockTeam {
  __device__ int rank() const { return threadIdx.x; }
  __device__ int size() const { return blockDim.x; }
  template <typename T>
  __device__ T Sum(T value) const {
    return BlockSum(value);
  }
  template <typename T>
  __device__ T Max(T value) const {
    return BlockMax(value);
  }
};

template <typename Body>
__global__ void RowPerThread(int rows, Divisor inner, int channels, Body body) {
  CUDA_KERNEL_LOOP(row, rows) {
    int i;
    const int outer = inner.Quotient(row, &i);
    body(ThreadTeam(), row, outer * channels * inner.divisor() + i, inner.divisor());
  }
}

template <typename Body>
__global__ void RowPerBlock(int channels, Body body) {
  body(BlockTeam(), static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.x) * channels,
       1);
}

/// Calls body(team, row, first, step) for all rows: row r of (outer, inner) has its
/// channels at first, first + step, ...
template <typename Body>
void ForEachRow(const Shape& shape, const Body& body) {
  const int rows = shape.outer * shape.inner;
  if (shape.inner == 1 && shape.channels >= kWarp) {
    LaunchKernel(RowPerBlock<Body>, rows, ThreadsFor(shape.channels), shape.channels,
                 body);
  } else {
    constexpr int kThreads = 128;
    LaunchKernel(RowPerThread<Body>, (rows + kThreads - 1) / kThreads, kThreads, rows,
                 Divisor(shape.inner), shape.channels, body);
  }
}

/// What the softmax of a row takes.
template <typename T>
struct Row {
  T largest;
  double sum;  ///< of exp(x - largest)

  __device__ T Output(T x) const {
    return Exp(SplitDifference(x, largest)) / static_cast<T>(sum);
  }
};

template <typename Team, typename T>
__device__ Row<T> ReadRow(const Team& team, int channels, const T* x, int step) {
  T largest = -static_cast<T>(INFINITY);  // numeric_limits is for the host alone
  for (int c = team.rank(); c < channels; c += team.size()) {
    if (largest < x[c * step]) largest = x[c * step];
  }
  largest = team.Max(largest);
  double sum = 0;
  for (int c = team.rank(); c < channels; c += team.size()) {
    sum += Exp(SplitDifference(x[c * step], largest));
  }
  return {largest, team.Sum(sum)};
}

/// y may be x.
template <typename T>
struct Forward {
  int channels;
  const T* x;
  T* y;

  template <typename Team>
  __device__ void operator()(const Team& team, int /*row*/, int first, int step) const {
    const Row<T> row = ReadRow(team, channels, x + first, step);
    for (int c = team.rank(); c < channels; c += team.size()) {
      y[first + c * step] = row.Output(x[first + c * step]);
    }
  }
};

/// dx = y (dy - Σ_c dy y); dx may be dy.
template <typename T>
struct Backward {
  int channels;
  const T *y, *dy;
  T* dx;

  template <typename Team>
  __device__ void operator()(const Team& team, int /*row*/, int first, int step) const {
    double products = 0;
    for (int c = team.rank(); c < channels; c += team.size()) {
      const int i = first + c * step;
      products += static_cast<double>(y[i]) * dy[i];
    }
    const T dot = static_cast<T>(team.Sum(products));
    for (int c = team.rank(); c < channels; c += team.size()) {
      const int i = first + c * step;
      dx[i] = y[i] * (dy[i] - dot);
    }
  }
};

}  // namespace softmax
}  // namespace caffe

#endif  // CAFFE_OPS_SOFTMAX_CUH_
