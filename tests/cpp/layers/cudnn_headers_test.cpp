// The headers with which Caffe has its layers by cuDNN, for code that includes them.

#include <gtest/gtest.h>

#include <string>
#include <type_traits>

#include "caffe/layers/cudnn_conv_layer.hpp"
#include "caffe/layers/cudnn_deconv_layer.hpp"
#include "caffe/layers/cudnn_lcn_layer.hpp"
#include "caffe/layers/cudnn_lrn_layer.hpp"
#include "caffe/layers/cudnn_pooling_layer.hpp"
#include "caffe/layers/cudnn_relu_layer.hpp"
#include "caffe/layers/cudnn_sigmoid_layer.hpp"
#include "caffe/layers/cudnn_softmax_layer.hpp"
#include "caffe/layers/cudnn_tanh_layer.hpp"
#include "caffe/layers/python_layer.hpp"

namespace caffe {
namespace test {
namespace {

static_assert(std::is_same_v<CuDNNConvolutionLayer<float>, ConvolutionLayer<float>>);
static_assert(std::is_same_v<CuDNNDeconvolutionLayer<float>, DeconvolutionLayer<float>>);
static_assert(std::is_same_v<CuDNNLCNLayer<float>, LRNLayer<float>>);
static_assert(std::is_same_v<CuDNNLRNLayer<float>, LRNLayer<float>>);
static_assert(std::is_same_v<CuDNNPoolingLayer<float>, PoolingLayer<float>>);
static_assert(std::is_same_v<CuDNNReLULayer<float>, ReLULayer<float>>);
static_assert(std::is_same_v<CuDNNSigmoidLayer<float>, SigmoidLayer<float>>);
static_assert(std::is_same_v<CuDNNSoftmaxLayer<float>, SoftmaxLayer<float>>);
static_assert(std::is_same_v<CuDNNTanHLayer<float>, TanHLayer<float>>);

TEST(CudnnHeadersTest, LayersByCudnnAreTheLayers) {
  CuDNNTanHLayer<double> layer{LayerParameter()};
  EXPECT_EQ(layer.type(), std::string("TanH"));
}

}  // namespace
}  // namespace test
}  // namespace caffe
