#ifndef CAFFE_OPS_LRN_HPP_
#define CAFFE_OPS_LRN_HPP_

#include "caffe/common.hpp"

namespace caffe {

/// Local response normalisation of plain (num, channels, height, width) arrays.
struct LrnProblem {
  int num, channels, height, width;
  int size;
  bool across_channels;
  double alpha, beta, k;

  /// From the middle of a window to its first and last value.
  CAFFE_HOST_DEVICE int reach() const { return (size - 1) / 2; }
};

/// What each square counts in the sum s of the element at (h, w).
CAFFE_HOST_DEVICE inline double LrnShare(const LrnProblem& p, int h, int w) {
  if (p.across_channels) return p.alpha / p.size;
  // The area that AVE pooling divides by: of the window clipped to the padded image.
  const auto extent = [&p](int at, int length) {
    const int end = at - p.reach() + p.size, limit = length + p.reach();
    return (end < limit ? end : limit) - (at - p.reach());
  };
  return p.alpha / (extent(h, p.height) * extent(w, p.width));
}

/// scale = s and dst = src · s^-beta.
template <typename T>
void LrnForward(const LrnProblem& problem, const T* src, T* scale, T* dst);

template <typename T>
void LrnBackward(const LrnProblem& problem, const T* src, const T* dst, const T* scale,
                 const T* diff_dst, T* diff_src);

}  // namespace caffe

#endif  // CAFFE_OPS_LRN_HPP_
