#ifndef CAFFE_CUDNN_POOLING_LAYER_HPP_
#define CAFFE_CUDNN_POOLING_LAYER_HPP_

// Caffe has a class of its own for `engine: CUDNN`. Here the layer itself chooses.

#include "caffe/layers/pooling_layer.hpp"

namespace caffe {

template <typename Dtype>
using CuDNNPoolingLayer = PoolingLayer<Dtype>;

}  // namespace caffe

#endif  // CAFFE_CUDNN_POOLING_LAYER_HPP_
