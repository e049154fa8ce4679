#include "benchmark.hpp"

#include <nanobind/stl/vector.h>

#include <limits>

#include "caffe/util/benchmark.hpp"

namespace caffe::python {

LayerTimes TimeLayers(NetHandle& handle) {
  Locked lock(handle.session);
  handle.users->BeginAnew();
  Computing computing(handle.session);
  Net<float>& net = *handle.net;
  CHECK(!net.optimized()) << "layers of an optimised net do not run one by one";
  const std::size_t count = net.layers().size();
  LayerTimes times;
  // What does not run by itself was not measured.
  const double none = std::numeric_limits<double>::quiet_NaN();
  times.forward_ms.assign(count, none);
  times.backward_ms.assign(count, none);
  Timer total, timer;
  total.Start();
  // By the layers' own methods: the net's would add its housekeeping to each.
  for (std::size_t i = 0; i < count; ++i) {
    if (net.layer_absorbed(static_cast<int>(i))) continue;
    timer.Start();
    net.layers()[i]->Forward(net.bottom_vecs()[i], net.top_vecs()[i]);
    times.forward_ms[i] = timer.MicroSeconds() / 1000.;
  }
  for (std::size_t i = count; i-- > 0;) {
    if (net.layer_absorbed(static_cast<int>(i)) || !net.layer_need_backward()[i])
      continue;
    timer.Start();
    net.layers()[i]->Backward(net.top_vecs()[i], net.bottom_need_backward()[i],
                              net.bottom_vecs()[i]);
    times.backward_ms[i] = timer.MicroSeconds() / 1000.;
  }
  times.total_ms = total.MicroSeconds() / 1000.;
  Settle(net);
  return times;
}

void BindBenchmark(nb::module_& m) {
  nb::class_<LayerTimes>(m, "LayerTimes",
                         "One forward and backward run, in milliseconds.")
      .def_ro("forward_ms", &LayerTimes::forward_ms, "By layer.")
      .def_ro("backward_ms", &LayerTimes::backward_ms, "By layer.")
      .def_ro("total_ms", &LayerTimes::total_ms, "Both passes.");

  nb::class_<Timer>(m, "Timer", "A stopwatch.")
      .def(nb::init<>())
      .def("start", &Timer::Start, "Begins to measure.")
      .def("stop", &Timer::Stop, "Ends the measurement.")
      .def_prop_ro("ms", &Timer::MilliSeconds,
                   "Milliseconds from start to stop, or to now if it still runs, which "
                   "stops it.");
}

}  // namespace caffe::python
