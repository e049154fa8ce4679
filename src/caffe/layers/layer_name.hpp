#ifndef CAFFE_LAYERS_LAYER_NAME_HPP_
#define CAFFE_LAYERS_LAYER_NAME_HPP_

#include <string>

#include "caffe/error.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// How messages name a layer and its blobs.

/// "layer 'conv1' (Convolution)"
inline std::string NameOf(const LayerParameter& param) {
  return Str("layer '", param.name(), "' (", param.type(), ")");
}

/// "layer 'conv1' (Convolution), bottom[0] 'data'"
inline std::string NameOfBottom(const LayerParameter& param, int index) {
  std::string name = Str(NameOf(param), ", bottom[", index, "]");
  if (index < param.bottom_size()) name += Str(" '", param.bottom(index), "'");
  return name;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_LAYER_NAME_HPP_
