// The unfolding of images into matrices, and back, in device memory; util/im2col.hpp
// says what they are. Nothing is added atomically: equal inputs give equal bits.

#include "caffe/util/im2col.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

struct Window2d {
  int height, width, kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w, dilation_h,
      dilation_w;
  int out_h() const {
    return (height + 2 * pad_h - (dilation_h * (kernel_h - 1) + 1)) / stride_h + 1;
  }
  int out_w() const {
    return (width + 2 * pad_w - (dilation_w * (kernel_w - 1) + 1)) / stride_w + 1;
  }
};

// A block writes one row of the matrix: one channel as one tap of the kernel sees it.
// Each thread computes one element at a time.
template <typename Dtype>
__global__ void Unfold2d(Window2d win, int out_h, int out_w, const Dtype* im,
                         Dtype* col) {
  const int tap_w = blockIdx.x % win.kernel_w;
  const int tap_h = blockIdx.x / win.kernel_w % win.kernel_h;
  const int channel = blockIdx.x / win.kernel_w / win.kernel_h;
  const int h0 = tap_h * win.dilation_h - win.pad_h;
  const int w0 = tap_w * win.dilation_w - win.pad_w;
  im += static_cast<std::int64_t>(channel) * win.height * win.width;
  col += static_cast<std::int64_t>(blockIdx.x) * out_h * out_w;
  for (int i = threadIdx.x; i < out_h * out_w; i += blockDim.x) {
    const int h = i / out_w * win.stride_h + h0, w = i % out_w * win.stride_w + w0;
    const bool inside = h >= 0 && h < win.height && w >= 0 && w < win.width;
    col[i] = inside ? im[h * win.width + w] : Dtype(0);
  }
}

// A block adds up one row of the image. Each thread takes one element at a time, and
// gathers it from the taps that saw it, in the order of the matrix's rows.
template <typename Dtype>
__global__ void Fold2d(Window2d win, int out_h, int out_w, const Dtype* col, Dtype* im) {
  const int h = blockIdx.x % win.height, channel = blockIdx.x / win.height;
  const std::int64_t plane = static_cast<std::int64_t>(out_h) * out_w;
  col += channel * plane * win.kernel_h * win.kernel_w;
  im += static_cast<std::int64_t>(blockIdx.x) * win.width;
  for (int w = threadIdx.x; w < win.width; w += blockDim.x) {
    Dtype sum = 0;
    for (int tap_h = 0; tap_h < win.kernel_h; ++tap_h) {
      const int y = h + win.pad_h - tap_h * win.dilation_h, oh = y / win.stride_h;
      if (y < 0 || y % win.stride_h != 0 || oh >= out_h) continue;
      for (int tap_w = 0; tap_w < win.kernel_w; ++tap_w) {
        const int x = w + win.pad_w - tap_w * win.dilation_w, ow = x / win.stride_w;
        if (x < 0 || x % win.stride_w != 0 || ow >= out_w) continue;
        sum += col[(tap_h * win.kernel_w + tap_w) * plane + oh * out_w + ow];
      }
    }
    im[w] = sum;
  }
}

// The arrays of the N-d functions, in device memory.
struct WindowNd {
  int axes;
  const int *im_shape, *col_shape, *kernel, *pad, *stride, *dilation;
};

__device__ std::int64_t Product(const int* sizes, int count) {
  std::int64_t product = 1;
  for (int i = 0; i < count; ++i) product *= sizes[i];
  return product;
}

// Calls f(i) for every i below the count, on all threads of the grid together.
template <typename F>
__device__ void ForEachOfGrid(std::int64_t count, F f) {
  const std::int64_t step = static_cast<std::int64_t>(blockDim.x) * gridDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < count; i += step) {
    f(i);
  }
}

// Each thread computes one element of the matrix at a time.
template <typename Dtype>
__global__ void UnfoldNd(WindowNd win, const Dtype* im, Dtype* col) {
  const std::int64_t taps = Product(win.kernel, win.axes);
  const std::int64_t places = Product(win.col_shape + 1, win.axes);
  ForEachOfGrid(win.im_shape[0] * taps * places, [&](std::int64_t i) {
    std::int64_t place = i % places, tap = i / places % taps, offset = 0, step = 1;
    bool inside = true;
    for (int a = win.axes - 1; a >= 0; --a) {
      const int size = win.im_shape[1 + a];
      const int at = static_cast<int>(place % win.col_shape[1 + a]) * win.stride[a] +
                     static_cast<int>(tap % win.kernel[a]) * win.dilation[a] - win.pad[a];
      inside = inside && at >= 0 && at < size;
      offset += at * step;
      step *= size;
      place /= win.col_shape[1 + a];
      tap /= win.kernel[a];
    }
    // `step` is one channel by now.
    col[i] = inside ? im[i / places / taps * step + offset] : Dtype(0);
  });
}

// Each thread gathers one element of the image at a time.
template <typename Dtype>
__global__ void FoldNd(WindowNd win, const Dtype* col, Dtype* im) {
  const std::int64_t taps = Product(win.kernel, win.axes);
  const std::int64_t places = Product(win.col_shape + 1, win.axes);
  const std::int64_t image = Product(win.im_shape + 1, win.axes);
  ForEachOfGrid(win.im_shape[0] * image, [&](std::int64_t i) {
    Dtype sum = 0;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::int64_t position = i % image, rest = tap, from = 0, step = 1;
      bool seen = true;
      for (int a = win.axes - 1; a >= 0; --a) {
        const int size = win.im_shape[1 + a];
        const int at = static_cast<int>(position % size) + win.pad[a] -
                       static_cast<int>(rest % win.kernel[a]) * win.dilation[a];
        const int place = at / win.stride[a];
        seen = seen && at >= 0 && at % win.stride[a] == 0 && place < win.col_shape[1 + a];
        from += place * step;
        step *= win.col_shape[1 + a];
        position /= size;
        rest /= win.kernel[a];
      }
      if (seen) sum += col[(i / image * taps + tap) * places + from];
    }
    im[i] = sum;
  });
}

int BlocksFor(int elements) { return std::max(CAFFE_GET_BLOCKS(elements), 1); }

}  // namespace

template <typename Dtype>
void im2col_gpu(const Dtype* data_im, const int channels, const int height,
                const int width, const int kernel_h, const int kernel_w, const int pad_h,
                const int pad_w, const int stride_h, const int stride_w,
                const int dilation_h, const int dilation_w, Dtype* data_col) {
  const Window2d win = {height, width,    kernel_h, kernel_w,   pad_h,
                        pad_w,  stride_h, stride_w, dilation_h, dilation_w};
  LaunchKernel(Unfold2d<Dtype>, channels * kernel_h * kernel_w,
               ThreadsFor(win.out_h() * win.out_w()), win, win.out_h(), win.out_w(),
               data_im, data_col);
}

template <typename Dtype>
void col2im_gpu(const Dtype* data_col, const int channels, const int height,
                const int width, const int kernel_h, const int kernel_w, const int pad_h,
                const int pad_w, const int stride_h, const int stride_w,
                const int dilation_h, const int dilation_w, Dtype* data_im) {
  const Window2d win = {height, width,    kernel_h, kernel_w,   pad_h,
                        pad_w,  stride_h, stride_w, dilation_h, dilation_w};
  LaunchKernel(Fold2d<Dtype>, channels * height, ThreadsFor(width), win, win.out_h(),
               win.out_w(), data_col, data_im);
}

template <typename Dtype>
void im2col_nd_gpu(const Dtype* data_im, const int num_spatial_axes, const int col_size,
                   const int* im_shape, const int* col_shape, const int* kernel_shape,
                   const int* pad, const int* stride, const int* dilation,
                   Dtype* data_col) {
  const WindowNd win = {num_spatial_axes, im_shape, col_shape, kernel_shape, pad,
                        stride,           dilation};
  LaunchKernel(UnfoldNd<Dtype>, BlocksFor(col_size), CAFFE_CUDA_NUM_THREADS, win, data_im,
               data_col);
}

template <typename Dtype>
void col2im_nd_gpu(const Dtype* data_col, const int num_spatial_axes, const int im_size,
                   const int* im_shape, const int* col_shape, const int* kernel_shape,
                   const int* pad, const int* stride, const int* dilation,
                   Dtype* data_im) {
  const WindowNd win = {num_spatial_axes, im_shape, col_shape, kernel_shape, pad,
                        stride,           dilation};
  LaunchKernel(FoldNd<Dtype>, BlocksFor(im_size), CAFFE_CUDA_NUM_THREADS, win, data_col,
               data_im);
}

#define INSTANTIATE_IM2COL(T)                                                         \
  template void im2col_nd_gpu(const T*, const int, const int, const int*, const int*, \
                              const int*, const int*, const int*, const int*, T*);    \
  template void col2im_nd_gpu(const T*, const int, const int, const int*, const int*, \
                              const int*, const int*, const int*, const int*, T*);    \
  template void im2col_gpu(const T*, const int, const int, const int, const int,      \
                           const int, const int, const int, const int, const int,     \
                           const int, const int, T*);                                 \
  template void col2im_gpu(const T*, const int, const int, const int, const int,      \
                           const int, const int, const int, const int, const int,     \
                           const int, const int, T*)
INSTANTIATE_IM2COL(float);
INSTANTIATE_IM2COL(double);

}  // namespace caffe
