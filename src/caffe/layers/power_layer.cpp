#include "caffe/layers/power_layer.hpp"

#include "caffe/layers/elementwise_layer_impl.hpp"

namespace caffe {

INSTANTIATE_CLASS(PowerLayer);
REGISTER_LAYER_CLASS(Power);

}  // namespace caffe
