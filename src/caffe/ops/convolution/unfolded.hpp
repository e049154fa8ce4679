#ifndef CAFFE_OPS_CONVOLUTION_UNFOLDED_HPP_
#define CAFFE_OPS_CONVOLUTION_UNFOLDED_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "caffe/ops/convolution.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

/// The convolution of one image as a matrix product per group: what the reference
/// engines and BaseConvolutionLayer's *_gemm methods compute with. Those who derive
/// from it do the arithmetic, on the host or on a GPU.
template <typename T>
class UnfoldedConvolution {
 public:
  explicit UnfoldedConvolution(const ConvolutionProblem& problem);
  virtual ~UnfoldedConvolution() = default;

  /// With `keep_unfolded`, src is what the last call unfolded.
  void Forward(const T* src, const T* weights, T* dst, bool keep_unfolded = false);
  void BackwardData(const T* diff_dst, const T* weights, T* diff_src);
  /// Adds to diff_weights.
  void BackwardWeights(const T* src, const T* diff_dst, T* diff_weights);

  int64_t src_image() const { return src_image_; }
  int64_t dst_image() const { return dst_image_; }

 protected:
  /// As caffe_cpu_gemm with an alpha of 1.
  virtual void Gemm(CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, int m, int n, int k,
                    const T* a, const T* b, T beta, T* c) = 0;
  /// As im2col and col2im.
  virtual void Unfold(const T* image, T* matrix) = 0;
  virtual void Fold(const T* matrix, T* image) = 0;
  /// Memory for the unfolded matrix.
  virtual T* Matrix() = 0;

  const ConvolutionProblem& problem() const { return problem_; }
  int64_t matrix_size() const { return rows_ * problem_.group * columns_; }
  /// (C, spatial...) and (rows, spatial...).
  const std::vector<int>& im_shape() const { return im_shape_; }
  const std::vector<int>& col_shape() const { return col_shape_; }

 private:
  const T* MatrixOf(const T* src);

  ConvolutionProblem problem_;
  bool pointwise_;     // 1x1, stride 1, no padding: the image is the matrix
  int64_t rows_;       // of one group's unfolded matrix
  int64_t columns_;    // output positions
  int64_t group_out_;  // output channels of one group
  int64_t src_image_, dst_image_;
  std::vector<int> im_shape_, col_shape_;
};

/// On the host.
template <typename T>
std::unique_ptr<UnfoldedConvolution<T>> MakeUnfoldedConvolution(
    const ConvolutionProblem& problem);

}  // namespace caffe

#endif  // CAFFE_OPS_CONVOLUTION_UNFOLDED_HPP_
