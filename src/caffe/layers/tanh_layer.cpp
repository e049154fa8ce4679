#include "caffe/layers/tanh_layer.hpp"

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

ELEMENTWISE_LAYER(TanH, nullptr)
INSTANTIATE_CLASS(TanHLayer);
REGISTER_LAYER_CLASS(TanH);

}  // namespace caffe
