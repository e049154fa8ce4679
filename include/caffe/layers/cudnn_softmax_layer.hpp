#ifndef CAFFE_CUDNN_SOFTMAX_LAYER_HPP_
#define CAFFE_CUDNN_SOFTMAX_LAYER_HPP_

// Caffe has a class of its own for `engine: CUDNN`. Here the layer itself chooses.

#include "caffe/layers/softmax_layer.hpp"

namespace caffe {

template <typename Dtype>
using CuDNNSoftmaxLayer = SoftmaxLayer<Dtype>;

}  // namespace caffe

#endif  // CAFFE_CUDNN_SOFTMAX_LAYER_HPP_
