#include "benchmark.hpp"

#include <nanobind/stl/vector.h>

#include <limits>

#include "caffe/net/schedule.hpp"
#include "caffe/util/benchmark.hpp"

namespace caffe::python {

LayerTimes TimeLayers(NetHandle& handle) {
  Locked lock(handle.session);
  handle.users->BeginAnew();
  Computing computing(handle.session);
  Net<float>& net = *handle.net;
  Schedule<float>& schedule = net.schedule();
  LayerTimes times;
  // What does not run by itself was not measured.
  const double none = std::numeric_limits<double>::quiet_NaN();
  times.forward_ms.assign(net.layers().size(), none);
  times.backward_ms.assign(net.layers().size(), none);
  const HostMemoryPool::Scope scope(schedule.pool());
  // On a device they are read when all has been started, which waits for it once.
  std::vector<Timer> forward(schedule.size()), backward(schedule.size());
  Timer total;
  total.Start();
  // Step by step: the net's own loop would add its housekeeping to each.
  for (int i = 0; i < schedule.size(); ++i) {
    forward[i].Start();
    schedule.operation(i).Forward();
    schedule.AfterForward(i);
    forward[i].Stop();
  }
  schedule.EndForward();
  if (schedule.policy() != Policy::kInference) schedule.BeginBackward();
  for (int i = schedule.size(); i-- > 0 && schedule.policy() != Policy::kInference;) {
    if (!net.layer_need_backward()[schedule.step(i).layers[0]]) continue;
    backward[i].Start();
    schedule.BeforeBackward(i);
    schedule.operation(i).Backward();
    schedule.AfterBackward(i);
    backward[i].Stop();
  }
  times.total_ms = total.MicroSeconds() / 1000.;
  for (int i = 0; i < schedule.size(); ++i) {
    const int layer = schedule.step(i).layers[0];
    times.forward_ms[layer] = forward[i].MicroSeconds() / 1000.;
    if (backward[i].has_run_at_least_once()) {
      times.backward_ms[layer] = backward[i].MicroSeconds() / 1000.;
    }
  }
  net.Settle();
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
