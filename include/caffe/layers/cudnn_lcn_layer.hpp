#ifndef CAFFE_CUDNN_LCN_LAYER_HPP_
#define CAFFE_CUDNN_LCN_LAYER_HPP_

// Caffe has a class of its own for `engine: CUDNN`. Here the layer itself chooses.

#include "caffe/layers/lrn_layer.hpp"

namespace caffe {

template <typename Dtype>
using CuDNNLCNLayer = LRNLayer<Dtype>;

}  // namespace caffe

#endif  // CAFFE_CUDNN_LCN_LAYER_HPP_
