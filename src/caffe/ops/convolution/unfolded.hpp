#ifndef CAFFE_OPS_CONVOLUTION_UNFOLDED_HPP_
#define CAFFE_OPS_CONVOLUTION_UNFOLDED_HPP_

#include <cstdint>
#include <vector>

#include "caffe/ops/convolution.hpp"

namespace caffe {

/// The convolution of one image as a matrix product per group: what the reference
/// engine and BaseConvolutionLayer's *_cpu_gemm methods compute with.
template <typename T>
class UnfoldedConvolution {
 public:
  explicit UnfoldedConvolution(const ConvolutionProblem& problem);

  /// With `keep_unfolded`, src is what the last call unfolded.
  void Forward(const T* src, const T* weights, T* dst, bool keep_unfolded = false);
  void BackwardData(const T* diff_dst, const T* weights, T* diff_src);
  /// Adds to diff_weights.
  void BackwardWeights(const T* src, const T* diff_dst, T* diff_weights);

  int64_t src_image() const { return src_image_; }
  int64_t dst_image() const { return dst_image_; }

 private:
  const T* Unfold(const T* src);

  ConvolutionProblem problem_;
  bool pointwise_;     // 1x1, stride 1, no padding: the image is the matrix
  int64_t rows_;       // of one group's unfolded matrix
  int64_t columns_;    // output positions
  int64_t group_out_;  // output channels of one group
  int64_t src_image_, dst_image_;
  std::vector<int> im_shape_, col_shape_;
  std::vector<T> unfolded_;
};

}  // namespace caffe

#endif  // CAFFE_OPS_CONVOLUTION_UNFOLDED_HPP_
