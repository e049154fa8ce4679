#ifndef CAFFE_LAYERS_AXPY_ARITHMETIC_CUH_
#define CAFFE_LAYERS_AXPY_ARITHMETIC_CUH_

// out = a * x + y on a GPU, as device arrays and shapes. plugin/ compiles this file for
// other people's Caffe, of which it takes the macros and constants of caffe/common.hpp.
//
// T is the type of a and of the arithmetic, S that of the elements: T, or one with fewer
// bits that converts to and from it.

#include "caffe/common.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/channel_passes.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace axpy {

template <typename T, typename S>
struct Output {
  const T* a;
  const S *x, *y;
  S* out;

  __device__ void operator()(int row, int /*c*/, size_t i) const {
    out[i] = static_cast<S>(a[row] * static_cast<T>(x[i]) + static_cast<T>(y[i]));
  }
};

/// All three gradients in one pass over d_out; a null pointer skips one.
template <typename T, typename S>
struct Gradients {
  const S* d_out;
  const T* a;
  const S* x;
  S *dx, *dy;

  /// Writes dx and dy at i, and returns what is added to da.
  __device__ T At(int row, size_t i, bool sums) const {
    // Read before dy is written: in place, both are the same memory.
    const T gradient = static_cast<T>(d_out[i]);
    if (dx) dx[i] = static_cast<S>(a[row] * gradient);
    if (dy) dy[i] = static_cast<S>(gradient);
    return sums ? gradient * static_cast<T>(x[i]) : T(0);
  }
};

/// One block per (n, c): a row of `spatial` elements that share one a.
template <typename T, typename S>
__global__ void BackwardRows(const int spatial, const Gradients<T, S> gradients, T* da) {
  const int row = blockIdx.x;
  const size_t start = static_cast<size_t>(row) * spatial;
  T sum = 0;
  for (int s = threadIdx.x; s < spatial; s += blockDim.x) {
    sum += gradients.At(row, start + s, da != nullptr);
  }
  if (!da) return;
  sum = BlockSum(sum);
  if (threadIdx.x == 0) da[row] = sum;
}

/// With the channels last: one block for kWarp channels of an image, whose warps take
/// turns at the positions.
template <typename T, typename S>
__global__ void BackwardChannels(const DeviceShape shape, const Gradients<T, S> gradients,
                                 T* da) {
  constexpr int kWarps = kPassThreads / kWarp;
  __shared__ T partial[kWarps][kWarp];
  const int groups = (shape.channels + kWarp - 1) / kWarp;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int n = blockIdx.x / groups, c = blockIdx.x % groups * kWarp + lane;
  const int row = n * shape.channels + c;
  T sum = 0;
  if (c < shape.channels) {
    for (int s = warp; s < shape.spatial; s += kWarps) {
      const size_t position = static_cast<size_t>(n) * shape.spatial + s;
      sum += gradients.At(row, position * shape.channels + c, da != nullptr);
    }
  }
  if (!da) return;
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || c >= shape.channels) return;
  T total = 0;
  for (int w = 0; w < kWarps; ++w) total += partial[w][lane];
  da[row] = total;
}

/// a has num * channels elements. out may be y.
template <typename T, typename S>
void Forward(const DeviceShape& shape, const T* a, const S* x, const S* y, S* out) {
  const Output<T, S> output = {a, x, y, out};
  ForChannels(shape, output);
}

/// da, dx and dy; a null pointer skips one.
template <typename T, typename S>
void Backward(const DeviceShape& shape, const S* d_out, const T* a, const S* x, T* da,
              S* dx, S* dy) {
  const Gradients<T, S> gradients = {d_out, a, x, dx, dy};
  if (shape.channels_last) {
    const int groups = (shape.channels + kWarp - 1) / kWarp;
    LaunchKernel(BackwardChannels<T, S>, shape.num * groups, kPassThreads, shape,
                 gradients, da);
  } else {
    LaunchKernel(BackwardRows<T, S>, shape.num * shape.channels,
                 ThreadsFor(shape.spatial), shape.spatial, gradients, da);
  }
}

}  // namespace axpy
}  // namespace caffe

#endif  // CAFFE_LAYERS_AXPY_ARITHMETIC_CUH_
