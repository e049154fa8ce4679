#ifndef PYTHON_BINDINGS_BENCHMARK_HPP_
#define PYTHON_BINDINGS_BENCHMARK_HPP_

#include <vector>

#include "net.hpp"

namespace caffe::python {

/// One forward and backward run, layer by layer.
struct LayerTimes {
  std::vector<double> forward_ms, backward_ms;
  double total_ms = 0;
};

LayerTimes TimeLayers(NetHandle& handle);

void BindBenchmark(nb::module_& m);

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_BENCHMARK_HPP_
