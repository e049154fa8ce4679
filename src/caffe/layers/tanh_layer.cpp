#include "caffe/layers/tanh_layer.hpp"

#include "caffe/layers/elementwise_layer_impl.hpp"

namespace caffe {

INSTANTIATE_CLASS(TanHLayer);
REGISTER_LAYER_CLASS(TanH);

}  // namespace caffe
