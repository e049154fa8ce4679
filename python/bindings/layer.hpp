#ifndef PYTHON_BINDINGS_LAYER_HPP_
#define PYTHON_BINDINGS_LAYER_HPP_

#include <memory>

#include "blob.hpp"

namespace caffe::python {

/// An entry of `net.layers`.
struct LayerHandle {
  std::shared_ptr<Layer<float>> layer;
  SessionPtr session;
};

void BindLayers(nb::module_& m);

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_LAYER_HPP_
