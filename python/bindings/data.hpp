#ifndef PYTHON_BINDINGS_DATA_HPP_
#define PYTHON_BINDINGS_DATA_HPP_

#include <nanobind/nanobind.h>

namespace caffe::python {

/// Images and databases.
void BindData(nanobind::module_& m);

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_DATA_HPP_
