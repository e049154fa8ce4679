#include "caffe/layers/clip_layer.hpp"

#include "caffe/layers/elementwise_layer.hpp"

namespace caffe {

ELEMENTWISE_LAYER(Clip, &this->kept_input_)
INSTANTIATE_CLASS(ClipLayer);
REGISTER_LAYER_CLASS(Clip);

}  // namespace caffe
