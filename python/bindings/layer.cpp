#include "layer.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

namespace caffe::python {

void BindLayers(nb::module_& m) {
  nb::class_<LayerHandle>(m, "EngineLayer", "A layer of a net.")
      .def_prop_ro(
          "type", [](const LayerHandle& self) { return std::string(self.layer->type()); },
          "Registered name of the type, e.g. \"Convolution\".")
      .def_prop_ro(
          "name",
          [](const LayerHandle& self) { return self.layer->layer_param().name(); },
          "Name in the net.")
      .def_prop_ro(
          "blobs",
          [](const LayerHandle& self) {
            return BlobList(self.layer, self.layer, self.session);
          },
          "Its learned blobs.")
      .def("__repr__", [](const LayerHandle& self) {
        return Str("<caffe ",
                   NameOf(self.layer->layer_param().name(), self.layer->type()), ">");
      });

  m.def(
      "layer_type_list", [] { return LayerRegistry<float>::LayerTypeList(); },
      "Names of all registered layer types, sorted.");
}

}  // namespace caffe::python
