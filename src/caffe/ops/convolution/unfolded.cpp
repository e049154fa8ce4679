#include "caffe/ops/convolution/unfolded.hpp"

#include <algorithm>

#include "caffe/util/im2col.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace {

int64_t Product(const std::vector<int>& shape, size_t first) {
  int64_t product = 1;
  for (size_t i = first; i < shape.size(); ++i) product *= shape[i];
  return product;
}

bool AllEqual(const std::vector<int>& values, int value) {
  return std::all_of(values.begin(), values.end(), [=](int v) { return v == value; });
}

template <typename T>
class OnHost : public UnfoldedConvolution<T> {
 public:
  using UnfoldedConvolution<T>::UnfoldedConvolution;

 private:
  void Gemm(CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, int m, int n, int k,
            const T* a, const T* b, T beta, T* c) override {
    caffe_cpu_gemm<T>(trans_a, trans_b, m, n, k, T(1), a, b, beta, c);
  }

  void Unfold(const T* image, T* matrix) override {
    const ConvolutionProblem& p = this->problem();
    if (p.spatial_axes() == 2) {
      im2col_cpu(image, p.src[1], p.src[2], p.src[3], p.kernel[0], p.kernel[1], p.pad[0],
                 p.pad[1], p.stride[0], p.stride[1], p.dilation[0], p.dilation[1],
                 matrix);
    } else {
      im2col_nd_cpu(image, p.spatial_axes(), this->im_shape().data(),
                    this->col_shape().data(), p.kernel.data(), p.pad.data(),
                    p.stride.data(), p.dilation.data(), matrix);
    }
  }

  void Fold(const T* matrix, T* image) override {
    const ConvolutionProblem& p = this->problem();
    if (p.spatial_axes() == 2) {
      col2im_cpu(matrix, p.src[1], p.src[2], p.src[3], p.kernel[0], p.kernel[1], p.pad[0],
                 p.pad[1], p.stride[0], p.stride[1], p.dilation[0], p.dilation[1], image);
    } else {
      col2im_nd_cpu(matrix, p.spatial_axes(), this->im_shape().data(),
                    this->col_shape().data(), p.kernel.data(), p.pad.data(),
                    p.stride.data(), p.dilation.data(), image);
    }
  }

  T* Matrix() override {
    matrix_.resize(this->matrix_size());
    return matrix_.data();
  }

  std::vector<T> matrix_;
};

}  // namespace

template <typename T>
UnfoldedConvolution<T>::UnfoldedConvolution(const ConvolutionProblem& problem)
    : problem_(problem) {
  pointwise_ = AllEqual(problem.kernel, 1) && AllEqual(problem.stride, 1) &&
               AllEqual(problem.pad, 0);
  rows_ = problem.src_channels() / problem.group * Product(problem.kernel, 0);
  columns_ = Product(problem.dst, 2);
  group_out_ = problem.dst_channels() / problem.group;
  src_image_ = Product(problem.src, 1);
  dst_image_ = Product(problem.dst, 1);
  im_shape_.assign(problem.src.begin() + 1, problem.src.end());
  col_shape_.assign(problem.dst.begin() + 1, problem.dst.end());
  col_shape_[0] = static_cast<int>(rows_ * problem.group);
}

template <typename T>
const T* UnfoldedConvolution<T>::MatrixOf(const T* src) {
  if (pointwise_) return src;
  T* matrix = Matrix();
  Unfold(src, matrix);
  return matrix;
}

template <typename T>
void UnfoldedConvolution<T>::Forward(const T* src, const T* weights, T* dst,
                                     bool keep_unfolded) {
  const T* matrix = keep_unfolded && !pointwise_ ? Matrix() : MatrixOf(src);
  for (int g = 0; g < problem_.group; ++g) {
    Gemm(CblasNoTrans, CblasNoTrans, group_out_, columns_, rows_,
         weights + g * group_out_ * rows_, matrix + g * rows_ * columns_, T(0),
         dst + g * group_out_ * columns_);
  }
}

template <typename T>
void UnfoldedConvolution<T>::BackwardData(const T* diff_dst, const T* weights,
                                          T* diff_src) {
  T* matrix = pointwise_ ? diff_src : Matrix();
  for (int g = 0; g < problem_.group; ++g) {
    Gemm(CblasTrans, CblasNoTrans, rows_, columns_, group_out_,
         weights + g * group_out_ * rows_, diff_dst + g * group_out_ * columns_, T(0),
         matrix + g * rows_ * columns_);
  }
  if (!pointwise_) Fold(matrix, diff_src);
}

template <typename T>
void UnfoldedConvolution<T>::BackwardWeights(const T* src, const T* diff_dst,
                                             T* diff_weights) {
  const T* matrix = MatrixOf(src);
  for (int g = 0; g < problem_.group; ++g) {
    Gemm(CblasNoTrans, CblasTrans, group_out_, rows_, columns_,
         diff_dst + g * group_out_ * columns_, matrix + g * rows_ * columns_, T(1),
         diff_weights + g * group_out_ * rows_);
  }
}

template <typename T>
std::unique_ptr<UnfoldedConvolution<T>> MakeUnfoldedConvolution(
    const ConvolutionProblem& problem) {
  return std::make_unique<OnHost<T>>(problem);
}

template class UnfoldedConvolution<float>;
template class UnfoldedConvolution<double>;
template std::unique_ptr<UnfoldedConvolution<float>> MakeUnfoldedConvolution(
    const ConvolutionProblem&);
template std::unique_ptr<UnfoldedConvolution<double>> MakeUnfoldedConvolution(
    const ConvolutionProblem&);

}  // namespace caffe
