#ifndef CAFFE_LAYERS_AXPY_ARITHMETIC_CUH_
#define CAFFE_LAYERS_AXPY_ARITHMETIC_CUH_

// out = a * x + y on a GPU, as device arrays and shapes. plugin/ compiles this file for
// other people's Caffe, of which it takes the macros and constants of caffe/common.hpp.

#include "caffe/common.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace axpy {

template <typename T>
__global__ void ForwardKernel(const int count, const int spatial, const T* a, const T* x,
                              const T* y, T* out) {
  CUDA_KERNEL_LOOP(i, count) { out[i] = a[i / spatial] * x[i] + y[i]; }
}

/// One block per (n, c): a row of `spatial` elements that share one a. All three
/// gradients come from one pass over d_out; a null pointer skips one.
template <typename T>
__global__ void BackwardKernel(const int spatial, const T* d_out, const T* a, const T* x,
                               T* da, T* dx, T* dy) {
  const size_t row = blockIdx.x;
  const size_t start = row * spatial;
  T sum = 0;
  for (int s = threadIdx.x; s < spatial; s += blockDim.x) {
    // Read before dy is written: in place, both are the same memory.
    const T gradient = d_out[start + s];
    if (da) sum += gradient * x[start + s];
    if (dx) dx[start + s] = a[row] * gradient;
    if (dy) dy[start + s] = gradient;
  }
  if (da) {
    sum = BlockSum(sum);
    if (threadIdx.x == 0) da[row] = sum;
  }
}

/// `rows` = N * C factors, each for `spatial` elements. out may be y.
template <typename T>
void Forward(int rows, int spatial, const T* a, const T* x, const T* y, T* out) {
  const int count = rows * spatial;
  LaunchKernel(ForwardKernel<T>, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS, count,
               spatial, a, x, y, out);
}

/// da, dx and dy; a null pointer skips one.
template <typename T>
void Backward(int rows, int spatial, const T* d_out, const T* a, const T* x, T* da, T* dx,
              T* dy) {
  LaunchKernel(BackwardKernel<T>, rows, ThreadsFor(spatial), spatial, d_out, a, x, da, dx,
               dy);
}

}  // namespace axpy
}  // namespace caffe

#endif  // CAFFE_LAYERS_AXPY_ARITHMETIC_CUH_
