#include <memory>
#include <string>

#include "caffe/ops/convolution/engines.hpp"
#include "caffe/ops/convolution/unfolded.hpp"
#include "caffe/ops/lanes.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace {

template <typename T>
class ReferenceConvolution : public ConvolutionOp<T> {
 public:
  explicit ReferenceConvolution(const ConvolutionProblem& problem)
      : problem_(problem), image_(MakeUnfoldedConvolution<T>(problem)) {}

  using ConvolutionOp<T>::Forward;
  void Forward(Tensor<T> src, Tensor<T> weights, const T* bias, Tensor<T> dst,
               const Blob<T>* addend) override {
    const T* x = src.Read(1);
    const T* w = weights.Read(1);
    const T* other = problem_.addend ? DataOf(addend).Read(1) : nullptr;
    T* y = dst.Write(1);
    const int channels = problem_.dst_channels();
    const int64_t spatial = image_->dst_image() / channels;
    for (int n = 0; n < problem_.src[0]; ++n) {
      T* out = y + n * image_->dst_image();
      image_->Forward(x + n * image_->src_image(), w, out);
      for (int k = 0; bias && k < channels; ++k) {
        caffe_add_scalar<T>(spatial, bias[k], out + k * spatial);
      }
      if (other) {
        caffe_add<T>(image_->dst_image(), out, other + n * image_->dst_image(), out);
      }
      for (int64_t i = 0; problem_.relu && i < image_->dst_image(); ++i) {
        out[i] = Relu<1, T>(out[i]);
      }
    }
  }

  void BackwardData(Tensor<T> diff_dst, Tensor<T> weights, Tensor<T> diff_src) override {
    const T* dy = diff_dst.Read(1);
    const T* w = weights.Read(1);
    T* dx = diff_src.Write(1);
    for (int n = 0; n < problem_.src[0]; ++n) {
      image_->BackwardData(dy + n * image_->dst_image(), w, dx + n * image_->src_image());
    }
  }

  void BackwardWeights(Tensor<T> src, Tensor<T> diff_dst, T* diff_weights) override {
    const T* x = src.Read(1);
    const T* dy = diff_dst.Read(1);
    for (int n = 0; n < problem_.src[0]; ++n) {
      image_->BackwardWeights(x + n * image_->src_image(), dy + n * image_->dst_image(),
                              diff_weights);
    }
  }

  std::string name() const override { return kReferenceEngine; }

 private:
  ConvolutionProblem problem_;
  std::unique_ptr<UnfoldedConvolution<T>> image_;
};

}  // namespace

template <typename T>
std::unique_ptr<ConvolutionOp<T>> MakeReferenceConvolution(
    const ConvolutionProblem& problem, std::string*) {
  return std::make_unique<ReferenceConvolution<T>>(problem);
}

template std::unique_ptr<ConvolutionOp<float>> MakeReferenceConvolution(
    const ConvolutionProblem&, std::string*);
template std::unique_ptr<ConvolutionOp<double>> MakeReferenceConvolution(
    const ConvolutionProblem&, std::string*);

}  // namespace caffe
