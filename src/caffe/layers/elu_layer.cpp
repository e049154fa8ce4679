#include "caffe/layers/elu_layer.hpp"

#include "caffe/layers/elementwise_layer_impl.hpp"

namespace caffe {

INSTANTIATE_CLASS(ELULayer);
REGISTER_LAYER_CLASS(ELU);

}  // namespace caffe
