#ifndef CAFFE_OPS_POOLING_HPP_
#define CAFFE_OPS_POOLING_HPP_

#include "caffe/common.hpp"
#include "caffe/ops/tensor.hpp"

namespace caffe {

/// A 2-d pooling window over (N, C, H, W), as the layer has worked it out.
struct PoolingProblem {
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

/// One window clipped to the image, [h0, h1) x [w0, w1), and the area it is averaged
/// over.
struct PoolingWindow {
  int h0, h1, w0, w1, area;
};

/// The window of output (oh, ow) in an image of height x width.
CAFFE_HOST_DEVICE inline PoolingWindow WindowAt(const PoolingProblem& p, int height,
                                                int width, int oh, int ow) {
  const auto less = [](int a, int b) { return a < b ? a : b; };
  PoolingWindow win;
  win.h0 = oh * p.stride_h - p.pad_h;
  win.w0 = ow * p.stride_w - p.pad_w;
  win.h1 = less(win.h0 + p.kernel_h, height + p.pad_h);
  win.w1 = less(win.w0 + p.kernel_w, width + p.pad_w);
  win.area = (win.h1 - win.h0) * (win.w1 - win.w0);
  win.h0 = win.h0 > 0 ? win.h0 : 0;
  win.w0 = win.w0 > 0 ? win.w0 : 0;
  win.h1 = less(win.h1, height);
  win.w1 = less(win.w1, width);
  return win;
}

/// Largest value of each window (taps outside the image do not count). `mask`, if
/// given, receives its index h·W + w, in the layout of dst; -1 where no value is a
/// number above the lowest.
template <typename T>
void MaxPool(const PoolingProblem& problem, Tensor<T> src, Tensor<T> dst, int* mask);
/// diff_src = Σ over the windows whose largest value this is; `mask` is in layout
/// `mask_block`.
template <typename T>
void MaxPoolBackward(const PoolingProblem& problem, Tensor<T> diff_dst, const int* mask,
                     int mask_block, Tensor<T> diff_src);

/// Mean of each window. Padding counts, but not what overhangs it: the divisor is
/// the area of the window clipped to H + pad, W + pad.
template <typename T>
void AveragePool(const PoolingProblem& problem, Tensor<T> src, Tensor<T> dst);
template <typename T>
void AveragePoolBackward(const PoolingProblem& problem, Tensor<T> diff_dst,
                         Tensor<T> diff_src);

}  // namespace caffe

#endif  // CAFFE_OPS_POOLING_HPP_
