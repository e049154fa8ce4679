#ifndef CAFFE_TESTS_FUZZ_SMALL_NET_HPP_
#define CAFFE_TESTS_FUZZ_SMALL_NET_HPP_

#include <string>

namespace caffe {
namespace fuzz {

/// A net that weights of every kind belong to.
inline const std::string kSmallNet = R"(
  name: "small"
  layer { name: "data" type: "Input" top: "data"
    input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
    convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2
      weight_filler { type: "xavier" } } }
  layer { name: "bn" type: "CuDNNBatchNorm" bottom: "conv" top: "conv" }
  layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "norm" }
  layer { name: "scale" type: "Scale" bottom: "norm" top: "norm"
    scale_param { bias_term: true } }
  layer { name: "prelu" type: "PReLU" bottom: "norm" top: "norm" }
  layer { name: "fc" type: "InnerProduct" bottom: "norm" top: "fc"
    inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "fc" top: "loss" }
)";

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_TESTS_FUZZ_SMALL_NET_HPP_
