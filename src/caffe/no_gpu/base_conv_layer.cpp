// What layers that derive from BaseConvolutionLayer call on a GPU, in a build without.

#include "caffe/layers/base_conv_layer.hpp"

namespace caffe {

template <typename Dtype>
void BaseConvolutionLayer<Dtype>::forward_gpu_gemm(const Dtype*, const Dtype*, Dtype*,
                                                   bool) {
  NO_GPU;
}
template <typename Dtype>
void BaseConvolutionLayer<Dtype>::forward_gpu_bias(Dtype*, const Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void BaseConvolutionLayer<Dtype>::backward_gpu_gemm(const Dtype*, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void BaseConvolutionLayer<Dtype>::weight_gpu_gemm(const Dtype*, const Dtype*, Dtype*) {
  NO_GPU;
}
template <typename Dtype>
void BaseConvolutionLayer<Dtype>::backward_gpu_bias(Dtype*, const Dtype*) {
  NO_GPU;
}

#define INSTANTIATE_BASE_CONVOLUTION(Dtype)                                              \
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
