#ifndef CAFFE_OPS_LRN_HPP_
#define CAFFE_OPS_LRN_HPP_

namespace caffe {

/// Local response normalisation of plain (num, channels, height, width) arrays.
struct LrnProblem {
  int num, channels, height, width;
  int size;
  bool across_channels;
  double alpha, beta, k;
};

/// scale = s and dst = src · s^-beta.
template <typename T>
void LrnForward(const LrnProblem& problem, const T* src, T* scale, T* dst);

template <typename T>
void LrnBackward(const LrnProblem& problem, const T* src, const T* dst, const T* scale,
                 const T* diff_dst, T* diff_src);

}  // namespace caffe

#endif  // CAFFE_OPS_LRN_HPP_
