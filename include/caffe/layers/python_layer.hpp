#ifndef CAFFE_PYTHON_LAYER_HPP_
#define CAFFE_PYTHON_LAYER_HPP_

// Layers that are written in Python, of type "Python".
//
// In Caffe this header has the class PythonLayer, made with Boost.Python, for programs
// that embed Python and share its classes. Here the class belongs to the extension module
// `caffe`, which registers the type when it is imported, so that the library and programs
// without Python need neither; there is nothing to derive from or to call in C++. A
// program that includes this header compiles, and makes such layers as all others:
//
//     LayerRegistry<float>::CreateLayer(param)  // param.type() is "Python"
//
// in a process that has imported `caffe`. docs/pycaffe.md tells how to write them.

#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"

#endif  // CAFFE_PYTHON_LAYER_HPP_
