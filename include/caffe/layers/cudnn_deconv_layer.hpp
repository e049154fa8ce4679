#ifndef CAFFE_CUDNN_DECONV_LAYER_HPP_
#define CAFFE_CUDNN_DECONV_LAYER_HPP_

// Caffe has a class of its own for `engine: CUDNN`. Here the layer itself chooses.

#include "caffe/layers/deconv_layer.hpp"

namespace caffe {

template <typename Dtype>
using CuDNNDeconvolutionLayer = DeconvolutionLayer<Dtype>;

}  // namespace caffe

#endif  // CAFFE_CUDNN_DECONV_LAYER_HPP_
