#ifndef CAFFE_CUDNN_RELU_LAYER_HPP_
#define CAFFE_CUDNN_RELU_LAYER_HPP_

// Caffe has a class of its own for `engine: CUDNN`. Here the layer itself chooses.

#include "caffe/layers/relu_layer.hpp"

namespace caffe {

template <typename Dtype>
using CuDNNReLULayer = ReLULayer<Dtype>;

}  // namespace caffe

#endif  // CAFFE_CUDNN_RELU_LAYER_HPP_
