#ifndef CAFFE_UTIL_LAYER_NAME_HPP_
#define CAFFE_UTIL_LAYER_NAME_HPP_

#include <string>

#include "caffe/error.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// How messages name a layer and its blobs.

/// "layer 'conv1' (Convolution)"; "layer 'conv1'" where the type is not known.
inline std::string NameOf(const std::string& layer, const std::string& type) {
  return Str("layer '", layer, "'", type.empty() ? "" : " (" + type + ")");
}

inline std::string NameOf(const LayerParameter& param) {
  return NameOf(param.name(), param.type());
}

/// "bottom[0] 'data'", for a message of the layer.
inline std::string NameOfBottom(const LayerParameter& param, int index) {
  std::string name = Str("bottom[", index, "]");
  if (index < param.bottom_size()) name += Str(" '", param.bottom(index), "'");
  return name;
}

}  // namespace caffe

#endif  // CAFFE_UTIL_LAYER_NAME_HPP_
