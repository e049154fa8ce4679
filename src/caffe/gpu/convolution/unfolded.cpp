// Convolution without cuDNN: the engine that takes every problem.

#include "caffe/gpu/convolution/unfolded.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/channels.hpp"
#include "caffe/gpu/convolution/engines.hpp"
#include "caffe/gpu/workspace.hpp"
#include "caffe/util/im2col.hpp"

namespace caffe {
namespace {

template <typename T>
class OnDevice : public UnfoldedConvolution<T> {
 public:
  OnDevice(const ConvolutionProblem& problem, UnfoldedMatrix matrix)
      : UnfoldedConvolution<T>(problem),
        place_(matrix),
        matrix_(nullptr, device::Free),
        im_shape_(this->im_shape()),
        col_shape_(this->col_shape()),
        kernel_(problem.kernel),
        pad_(problem.pad),
        stride_(problem.stride),
        dilation_(problem.dilation) {}

 private:
  // Sizes that the kernels for any number of axes read in device memory.
  class Sizes {
   public:
    explicit Sizes(const std::vector<int>& values)
        : blob_({std::max(static_cast<int>(values.size()), 1)}) {
      std::copy(values.begin(), values.end(), blob_.mutable_cpu_data());
    }
    const int* data() const { return blob_.gpu_data(); }

   private:
    Blob<int> blob_;
  };

  void Gemm(CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, int m, int n, int k,
            const T* a, const T* b, T beta, T* c) override {
    caffe_gpu_gemm<T>(trans_a, trans_b, m, n, k, T(1), a, b, beta, c);
  }

  void Unfold(const T* image, T* matrix) override {
    const ConvolutionProblem& p = this->problem();
    if (p.spatial_axes() == 2) {
      im2col_gpu(image, p.src[1], p.src[2], p.src[3], p.kernel[0], p.kernel[1], p.pad[0],
                 p.pad[1], p.stride[0], p.stride[1], p.dilation[0], p.dilation[1],
                 matrix);
    } else {
      im2col_nd_gpu(image, p.spatial_axes(), Elements(this->matrix_size()),
                    im_shape_.data(), col_shape_.data(), kernel_.data(), pad_.data(),
                    stride_.data(), dilation_.data(), matrix);
    }
  }

  void Fold(const T* matrix, T* image) override {
    const ConvolutionProblem& p = this->problem();
    if (p.spatial_axes() == 2) {
      col2im_gpu(matrix, p.src[1], p.src[2], p.src[3], p.kernel[0], p.kernel[1], p.pad[0],
                 p.pad[1], p.stride[0], p.stride[1], p.dilation[0], p.dilation[1], image);
    } else {
      col2im_nd_gpu(matrix, p.spatial_axes(), Elements(this->src_image()),
                    im_shape_.data(), col_shape_.data(), kernel_.data(), pad_.data(),
                    stride_.data(), dilation_.data(), image);
    }
  }

  T* Matrix() override {
    const std::size_t bytes = this->matrix_size() * sizeof(T);
    if (place_ == UnfoldedMatrix::kShared) return static_cast<T*>(Workspace(bytes));
    if (!matrix_) matrix_.reset(device::Allocate(bytes));
    device::Touch(matrix_.get());
    return static_cast<T*>(matrix_.get());
  }

  static int Elements(std::int64_t count) {
    return static_cast<int>(std::min<std::int64_t>(count, INT_MAX));
  }

  const UnfoldedMatrix place_;
  std::unique_ptr<void, decltype(&device::Free)> matrix_;
  Sizes im_shape_, col_shape_, kernel_, pad_, stride_, dilation_;
};

template <typename T>
class UnfoldedDeviceConvolution : public DeviceConvolution<T> {
 public:
  explicit UnfoldedDeviceConvolution(const ConvolutionProblem& problem)
      : problem_(problem),
        image_(MakeDeviceUnfoldedConvolution<T>(problem, UnfoldedMatrix::kShared)) {}

  using DeviceConvolution<T>::Forward;
  void Forward(DeviceTensor<T> src, DeviceTensor<T> weights, const T* bias,
               DeviceTensor<T> dst, const Blob<T>* addend) override {
    const T* x = src.Read();
    const T* w = weights.Read();
    const T* other = problem_.addend ? DeviceDataOf(addend).Read() : nullptr;
    T* y = dst.Write();
    for (int n = 0; n < problem_.src[0]; ++n) {
      image_->Forward(x + n * image_->src_image(), w, y + n * image_->dst_image());
    }
    const int channels = problem_.dst_channels();
    FinishChannels<T>(
        DeviceLayout::kPlain,
        {problem_.dst[0], channels, static_cast<int>(image_->dst_image() / channels)},
        bias, other, problem_.relu, y);
  }

  void BackwardData(DeviceTensor<T> diff_dst, DeviceTensor<T> weights,
                    DeviceTensor<T> diff_src) override {
    const T* dy = diff_dst.Read();
    const T* w = weights.Read();
    T* dx = diff_src.Write();
    for (int n = 0; n < problem_.src[0]; ++n) {
      image_->BackwardData(dy + n * image_->dst_image(), w, dx + n * image_->src_image());
    }
  }

  void BackwardWeights(DeviceTensor<T> src, DeviceTensor<T> diff_dst,
                       T* diff_weights) override {
    const T* x = src.Read();
    const T* dy = diff_dst.Read();
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
std::unique_ptr<UnfoldedConvolution<T>> MakeDeviceUnfoldedConvolution(
    const ConvolutionProblem& problem, UnfoldedMatrix matrix) {
  return std::make_unique<OnDevice<T>>(problem, matrix);
}

template <typename T>
std::unique_ptr<DeviceConvolution<T>> MakeUnfoldedDeviceConvolution(
    const ConvolutionProblem& problem, std::string*) {
  return std::make_unique<UnfoldedDeviceConvolution<T>>(problem);
}

#define INSTANTIATE_UNFOLDED(T)                                                      \
  template std::unique_ptr<UnfoldedConvolution<T>> MakeDeviceUnfoldedConvolution<T>( \
      const ConvolutionProblem&, UnfoldedMatrix);                                    \
  template std::unique_ptr<DeviceConvolution<T>> MakeUnfoldedDeviceConvolution<T>(   \
      const ConvolutionProblem&, std::string*)
INSTANTIATE_UNFOLDED(float);
INSTANTIATE_UNFOLDED(double);

}  // namespace caffe
