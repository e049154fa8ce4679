#include "caffe/layers/base_conv_layer.hpp"

#include "caffe/gpu/channels.hpp"
#include "caffe/gpu/convolution.hpp"
#include "caffe/gpu/convolution/unfolded.hpp"

namespace caffe {

template <typename Dtype>
DeviceConvolution<Dtype>& BaseConvolutionLayer<Dtype>::device_op() {
  if (!device_op_) device_op_ = MakeDeviceConvolution<Dtype>(*problem_);
  return *device_op_;
}

template <typename Dtype>
UnfoldedConvolution<Dtype>& BaseConvolutionLayer<Dtype>::device_unfolded() {
  if (!device_unfolded_) {
    device_unfolded_ =
        MakeDeviceUnfoldedConvolution<Dtype>(*problem_, UnfoldedMatrix::kOwn);
  }
  return *device_unfolded_;
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::forward_gpu_gemm(const Dtype* input,
                                                   const Dtype* weights, Dtype* output,
                                                   bool skip_im2col) {
  device_unfolded().Forward(input, weights, output, skip_im2col);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::forward_gpu_bias(Dtype* output, const Dtype* bias) {
  FinishChannels<Dtype>(DeviceLayout::kPlain, {1, num_output_, out_spatial_dim_}, bias,
                        nullptr, false, output);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::backward_gpu_gemm(const Dtype* input,
                                                    const Dtype* weights, Dtype* output) {
  device_unfolded().BackwardData(input, weights, output);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::weight_gpu_gemm(const Dtype* input, const Dtype* output,
                                                  Dtype* weights) {
  device_unfolded().BackwardWeights(input, output, weights);
}

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::backward_gpu_bias(Dtype* bias, const Dtype* input) {
  AddChannelSums(DeviceLayout::kPlain, {1, num_output_, out_spatial_dim_}, input, bias);
}

#define INSTANTIATE_BASE_CONVOLUTION(Dtype)                                              \
  template DeviceConvolution<Dtype>& BaseConvolutionLayer<Dtype>::device_op();           \
  template void BaseConvolutionLayer<Dtype>::forward_gpu_gemm(                           \
      const Dtype*, const Dtype*, Dtype*, bool);                                         \
  template void BaseConvolutionLayer<Dtype>::forward_gpu_bias(Dtype*, const Dtype*);     \
  template void BaseConvolutionLayer<Dtype>::backward_gpu_gemm(const Dtype*,             \
                                                               const Dtype*, Dtype*);    \
  template void BaseConvolutionLayer<Dtype>::weight_gpu_gemm(const Dtype*, const Dtype*, \
                                                             Dtype*);                    \
  template void BaseConvolutionLayer<Dtype>::backward_gpu_bias(Dtype*, const Dtype*)
INSTANTIATE_BASE_CONVOLUTION(float);
INSTANTIATE_BASE_CONVOLUTION(double);

}  // namespace caffe
