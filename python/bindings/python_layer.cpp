// The layer type "Python": runs methods of a class derived from caffe.Layer.
//
//     layer { type: "Python" bottom: "a" top: "b"
//             python_param { module: "my_module" layer: "MyLayer" param_str: "…" } }
//
// It lives in the extension, because libcaffe knows nothing of Python.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <vector>

#include "blob.hpp"
#include "caffe/layer.hpp"

namespace caffe {
namespace {

using python::BlobHandle;
using python::BlobList;

class PythonLayer : public Layer<float>,
                    public std::enable_shared_from_this<PythonLayer> {
 public:
  explicit PythonLayer(const LayerParameter& param) : Layer<float>(param) {
    nb::gil_scoped_acquire gil;
    instance_ = CreateInstance();
    works_in_place_ = nb::cast<bool>(nb::bool_(instance_.attr("works_in_place")));
  }

  ~PythonLayer() override {
    if (!Py_IsInitialized()) {
      instance_.release();  // at exit; nothing is left to free it with
      return;
    }
    nb::gil_scoped_acquire gil;
    instance_.reset();
  }

  void LayerSetUp(const vector<Blob<float>*>& bottom,
                  const vector<Blob<float>*>& top) override {
    nb::gil_scoped_acquire gil;
    instance_.attr("blobs") =
        nb::cast(BlobList(nullptr, weak_from_this(), python::CurrentSession()));
    instance_.attr("setup")(Blobs(bottom), Blobs(top));
  }

  void Reshape(const vector<Blob<float>*>& bottom,
               const vector<Blob<float>*>& top) override {
    nb::gil_scoped_acquire gil;
    instance_.attr("reshape")(Blobs(bottom), Blobs(top));
  }

  const char* type() const override { return "Python"; }
  LayerTraits Traits() const override {
    return {.in_place = {works_in_place_ ? InPlace::kChanges : InPlace::kRefused}};
  }

 protected:
  void Forward_cpu(const vector<Blob<float>*>& bottom,
                   const vector<Blob<float>*>& top) override {
    nb::gil_scoped_acquire gil;
    Settle(bottom, top);
    instance_.attr("forward")(Blobs(bottom), Blobs(top));
    Settle(bottom, top);
  }

  void Backward_cpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    nb::gil_scoped_acquire gil;
    Settle(bottom, top);
    nb::list propagate;
    for (bool value : propagate_down) propagate.append(value);
    instance_.attr("backward")(Blobs(top), propagate, Blobs(bottom));
    Settle(bottom, top);
  }

 private:
  nb::object CreateInstance() const {
    const PythonParameter& param = layer_param_.python_param();
    if (!param.has_module() || !param.has_layer()) {
      throw ValueError("python_param needs `module` and `layer`, the class in it");
    }
    nb::object cls;
    try {
      cls = nb::module_::import_(param.module().c_str()).attr(param.layer().c_str());
    } catch (nb::python_error& error) {
      if (!error.matches(PyExc_ImportError) && !error.matches(PyExc_AttributeError))
        throw;
      nb::raise_from(error, PyExc_ValueError,
                     "%s: cannot load class '%s' of module '%s': %s; the module must be "
                     "importable, e.g. by PYTHONPATH",
                     NameOf(layer_param_).c_str(), param.layer().c_str(),
                     param.module().c_str(), nb::str(error.value()).c_str());
    }
    const nb::object base = nb::module_::import_("caffe.pycaffe").attr("Layer");
    if (!PyType_Check(cls.ptr()) || PyObject_IsSubclass(cls.ptr(), base.ptr()) != 1) {
      throw ValueError(Str("'", param.layer(), "' of module '", param.module(),
                           "' is not a class derived from caffe.Layer"));
    }
    // Set before __init__ runs, so that it can use them and need not call ours.
    nb::object instance = cls.attr("__new__")(cls);
    instance.attr("name") = layer_param_.name();
    instance.attr("param_str") = param.param_str();
    instance.attr("phase") = static_cast<int>(phase_);
    const string serialized = layer_param_.SerializeAsString();
    const nb::object message =
        nb::module_::import_("caffe.proto.caffe_pb2")
            .attr("LayerParameter")
            .attr("FromString")(nb::bytes(serialized.data(), serialized.size()));
    instance.attr("__init__")(message);
    return instance;
  }

  nb::list Blobs(const vector<Blob<float>*>& blobs) {
    nb::list list;
    for (Blob<float>* blob : blobs) {
      list.append(nb::cast(BlobHandle(blob, weak_from_this(), python::CurrentSession())));
    }
    return list;
  }

  // Arrays that the class kept from an earlier call must be up to date as well.
  static void Settle(const vector<Blob<float>*>& bottom,
                     const vector<Blob<float>*>& top) {
    for (const Blob<float>* blob : bottom) blob->Settle();
    for (const Blob<float>* blob : top) blob->Settle();
  }

  nb::object instance_;
  bool works_in_place_;
};

template <typename Dtype>
shared_ptr<Layer<Dtype>> CreatePythonLayer(const LayerParameter& param) {
  if constexpr (std::is_same_v<Dtype, float>) {
    return std::make_shared<PythonLayer>(param);
  } else {
    throw NotImplementedFailure("only nets of float can have Python layers");
  }
}

REGISTER_LAYER_CREATOR(Python, CreatePythonLayer);

}  // namespace
}  // namespace caffe
