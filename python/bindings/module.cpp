// caffe._caffe: the compiled half of pycaffe. Users see what python/caffe makes of it.

#include <dlfcn.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>

#include "benchmark.hpp"
#include "blob.hpp"
#include "caffe/common.hpp"
#include "caffe/device.hpp"
#include "caffe/parallel.hpp"
#include "caffe/parallel/device_mean.hpp"
#include "caffe/plugin.hpp"
#include "caffe/util/rng.hpp"
#include "data.hpp"
#include "device_array.hpp"
#include "layer.hpp"
#include "net.hpp"
#include "solver.hpp"

namespace caffe::python {
namespace {

PyObject* ExceptionFor(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kValue:
      return PyExc_ValueError;
    case ErrorKind::kFile:
      return PyExc_OSError;
    case ErrorKind::kNotImplemented:
      return PyExc_NotImplementedError;
    case ErrorKind::kRuntime:
      break;
  }
  return PyExc_RuntimeError;
}

// Messages name what files gave, which need not be UTF-8: the rest becomes \xNN.
nb::str TextOf(std::string_view bytes) {
  return nb::steal<nb::str>(PyUnicode_DecodeUTF8(
      bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace"));
}

void TranslateErrors() {
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const Error& error) {
      PyErr_SetObject(ExceptionFor(error.kind()), TextOf(error.what()).ptr());
    }
  });
}

string LibraryPath() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&LoadPlugin), &info)) {
    throw RuntimeFailure("the dynamic loader does not know the file of libcaffe");
  }
  return std::filesystem::weakly_canonical(info.dli_fname);
}

void BindLog(nb::module_& m) {
  // Thousands of lines about a net would hide what a program prints. The commands log
  // as Caffe's do.
  if (!std::getenv("GLOG_minloglevel")) logging::SetMinSeverity(google::WARNING);
  m.def(
      "set_log_level",
      [](int severity) {
        if (severity < google::INFO || severity > google::FATAL) {
          throw ValueError(
              Str("log level: got ", severity,
                  ", expected 0 (info), 1 (warning), 2 (error) or 3 (nothing)"));
        }
        const int former = logging::MinSeverity();
        logging::SetMinSeverity(static_cast<google::LogSeverity>(severity));
        return former;
      },
      nb::arg("severity"),
      "Sets the lowest severity that is printed; returns what it was.");
  m.def("set_log_file", &logging::SetLogFile, nb::arg("path"),
        "Appends every line to a file as well; \"\" ends that.");
  m.def(
      "log",
      [](const string& message, int severity, const string& file, int line) {
        if (severity < google::INFO || severity > google::ERROR) {
          throw ValueError(Str("log: severity is ", severity,
                               ", expected 0 (info), 1 (warning) or 2 (error)"));
        }
        logging::Message(file.c_str(), line, static_cast<google::LogSeverity>(severity))
                .stream()
            << message;
      },
      nb::arg("message"), nb::arg("severity"), nb::arg("file"), nb::arg("line"),
      "Prints one line in the engine's format.");
}

void BindSettings(nb::module_& m) {
  m.attr("version") = AS_STRING(CAFFE_VERSION);
  m.attr("has_gpu") = device::Supported();
  m.attr("has_nccl") = DeviceMean::Supported();
  m.def("library_path", &LibraryPath, "The file of libcaffe that is loaded.");
  m.def(
      "set_mode_cpu", [] { Caffe::set_mode(Caffe::CPU); }, "Computes on the processor.");
  m.def(
      "set_mode_gpu", [] { Caffe::set_mode(Caffe::GPU); },
      "Computes on the GPU; RuntimeError in a build without one.");
  m.def("set_device", &Caffe::SetDevice, nb::arg("device_id"), "Selects a GPU by index.");
  m.def("device_count", &device::Count,
        "GPUs that can be selected; 0 in a build without one.");
  nb::class_<device::MemoryCounts>(m, "DeviceMemory", "The memory of a GPU, in bytes.")
      .def_ro("used", &device::MemoryCounts::used, "What this process has in use.")
      .def_ro("peak", &device::MemoryCounts::peak, "The most that it had in use.")
      .def_ro("cached", &device::MemoryCounts::cached,
              "What it keeps of that to use again.")
      .def_ro("driver_allocations", &device::MemoryCounts::driver_allocations,
              "How often it has asked the driver for memory.")
      .def_ro("pinned_allocations", &device::MemoryCounts::pinned_allocations,
              "How often it has asked for page-locked memory of the host.");
  m.def("device_memory", &device::CountMemory,
        "The memory of the selected GPU; zeros in a build without one.");
  m.def("device_query", &Caffe::DeviceQuery, "Logs the properties of the current GPU.");
  m.def(
      "set_random_seed", [](unsigned int seed) { Caffe::set_random_seed(seed); },
      nb::arg("seed"),
      "Restarts the calling thread's random stream; equal seeds give equal draws.");
  m.def(
      "join_group",
      [] {
        nb::gil_scoped_release release;
        ProcessGroup::Join();
      },
      "Connects to the other processes that mpirun started, as making a solver does.");
  m.def(
      "finish_group", [] { ProcessGroup::Join().Finish(); },
      "Says that this process needs the others no more; see ProcessGroup::Finish.");
  m.def(
      "share_random_seed",
      [] {
        std::uint64_t seed = Caffe::random_seed();
        ProcessGroup& group = ProcessGroup::Join();
        nb::gil_scoped_release release;
        group.Broadcast(&seed, sizeof(seed));
        *caffe_rng() = rng_t(seed);
      },
      "Gives all processes the random seed of the first.");
  m.def(
      "sum_over_group",
      [](vector<double> values) {
        ProcessGroup& group = ProcessGroup::Join();
        nb::gil_scoped_release release;
        group.StartSum(values.data(), static_cast<int>(values.size()));
        group.Wait();
        return values;
      },
      nb::arg("values"), "The sums of the values that all processes give.");
  m.def("solver_count", &Caffe::solver_count, "Number of solvers that train together.");
  m.def("set_solver_count", &Caffe::set_solver_count, nb::arg("count"));
  m.def("solver_rank", &Caffe::solver_rank, "Index of this solver among them.");
  m.def("set_solver_rank", &Caffe::set_solver_rank, nb::arg("rank"));
  m.def("set_multiprocess", &Caffe::set_multiprocess, nb::arg("value"));
  m.def(
      "load_plugin",
      [](const string& path) {
        nb::gil_scoped_release release;
        return LoadPlugin(path);
      },
      nb::arg("path"), "Loads a shared object; returns the types it registered.");
  m.def("load_plugins_from_environment", &LoadPluginsFromEnvironment,
        "Loads the plugins that CAFFE_PLUGINS names, once.");
}

}  // namespace
}  // namespace caffe::python

// The module's function for Python is below.
#define PyInit__caffe NanobindInit
NB_MODULE(_caffe, m) {
  using namespace caffe::python;  // NOLINT(build/namespaces)
  // Nets that live until the interpreter ends are no leak worth a warning.
  nb::set_leak_warnings(false);
  m.doc() = "The compiled half of pycaffe.";
  TranslateErrors();
  BindDeviceArrays(m);
  BindBlobs(m);
  BindLayers(m);
  BindBenchmark(m);
  BindNet(m);
  BindSolver(m);
  BindData(m);
  BindLog(m);
  BindSettings(m);
}
#undef PyInit__caffe

// A module that was made but never run, because a KeyboardInterrupt came in between, is
// freed like one that ran, which ends in nanobind's data that are not there yet. Python
// frees modules without that if they ask for a state and did not get it.
extern "C" NB_EXPORT PyObject* PyInit__caffe() {
  PyObject* definition = NanobindInit();
  if (definition && PyObject_TypeCheck(definition, &PyModuleDef_Type)) {
    auto& size = reinterpret_cast<PyModuleDef*>(definition)->m_size;
    if (size == 0) size = 1;
  }
  return definition;
}
