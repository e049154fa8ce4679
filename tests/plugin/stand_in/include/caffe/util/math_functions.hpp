#ifndef CAFFE_UTIL_MATH_FUNCTIONS_H_
#define CAFFE_UTIL_MATH_FUNCTIONS_H_

namespace caffe {

template <typename Dtype>
inline void caffe_set(const int n, const Dtype alpha, Dtype* x) {
  for (int i = 0; i < n; ++i) x[i] = alpha;
}

}  // namespace caffe

#endif  // CAFFE_UTIL_MATH_FUNCTIONS_H_
