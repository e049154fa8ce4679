#include "caffe/layers/bnll_layer.hpp"

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

ELEMENTWISE_LAYER(BNLL, nullptr)
INSTANTIATE_CLASS(BNLLLayer);
REGISTER_LAYER_CLASS(BNLL);

}  // namespace caffe
