#include "caffe/layers/exp_layer.hpp"

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

ELEMENTWISE_LAYER(Exp, nullptr)
INSTANTIATE_CLASS(ExpLayer);
REGISTER_LAYER_CLASS(Exp);

}  // namespace caffe
