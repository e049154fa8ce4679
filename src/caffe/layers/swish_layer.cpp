#include "caffe/layers/swish_layer.hpp"

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

ELEMENTWISE_LAYER(Swish, &this->kept_input_)
INSTANTIATE_CLASS(SwishLayer);
REGISTER_LAYER_CLASS(Swish);

}  // namespace caffe
