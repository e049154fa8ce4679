#include "caffe/layers/absval_layer.hpp"

#include "caffe/layers/elementwise_layer_impl.hpp"

namespace caffe {

INSTANTIATE_CLASS(AbsValLayer);
REGISTER_LAYER_CLASS(AbsVal);

}  // namespace caffe
