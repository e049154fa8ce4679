// The module's compiled part, linked to libcaffe as theirs is: it sees the layers that
// are in the registry of the process, whoever put them there.

#include <Python.h>
#include <google/protobuf/text_format.h>

#include <string>

#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/proto/caffe.pb.h"

namespace {

typedef caffe::LayerRegistry<float> Registry;

PyObject* LayerTypeList(PyObject* /*module*/, PyObject* /*none*/) {
  PyObject* types = PyList_New(0);
  for (const auto& entry : Registry::Registry()) {
    PyObject* type = PyUnicode_FromString(entry.first.c_str());
    PyList_Append(types, type);
    Py_DECREF(type);
  }
  return types;
}

// Of a layer that is made from its description.
PyObject* CreatedType(PyObject* /*module*/, PyObject* text) {
  caffe::LayerParameter param;
  const char* description = PyUnicode_AsUTF8(text);
  if (!description) return nullptr;
  CHECK(google::protobuf::TextFormat::ParseFromString(description, &param));
  return PyUnicode_FromString(Registry::CreateLayer(param)->type());
}

PyMethodDef methods[] = {
    {"layer_type_list", LayerTypeList, METH_NOARGS, "The types of layers, sorted."},
    {"created_type", CreatedType, METH_O, "The type of a layer made from prototxt."},
    {nullptr, nullptr, 0, nullptr}};
PyModuleDef module = {PyModuleDef_HEAD_INIT,
                      "_caffe",
                      nullptr,
                      -1,
                      methods,
                      nullptr,
                      nullptr,
                      nullptr,
                      nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__caffe() { return PyModule_Create(&module); }
