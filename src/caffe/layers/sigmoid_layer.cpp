#include "caffe/layers/sigmoid_layer.hpp"

#include "caffe/layers/elementwise_layer_impl.hpp"

namespace caffe {

INSTANTIATE_CLASS(SigmoidLayer);
REGISTER_LAYER_CLASS(Sigmoid);

}  // namespace caffe
