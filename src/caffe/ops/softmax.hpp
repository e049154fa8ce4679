#ifndef CAFFE_OPS_SOFTMAX_HPP_
#define CAFFE_OPS_SOFTMAX_HPP_

namespace caffe {

// Softmax along the middle axis of (outer, channels, inner). In place is allowed.

template <typename T>
void Softmax(int outer, int channels, int inner, const T* src, T* dst);

/// diff_src = dst (diff_dst - Σ_c diff_dst dst)
template <typename T>
void SoftmaxBackward(int outer, int channels, int inner, const T* dst, const T* diff_dst,
                     T* diff_src);

}  // namespace caffe

#endif  // CAFFE_OPS_SOFTMAX_HPP_
