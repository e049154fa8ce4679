#include "solver.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <utility>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/signal_handler.h"
#include "caffe/util/upgrade_proto.hpp"
#include "net.hpp"

namespace caffe::python {
namespace {

void SettleAll(Solver<float>& solver) {
  solver.net()->Settle();
  for (const auto& net : solver.test_nets()) net->Settle();
}

template <typename... Args>
using Function = std::optional<nb::typed<nb::callable, nb::object(Args...)>>;

template <typename T>
nb::object OrNone(const std::optional<T>& function) {
  return function ? nb::object(*function) : nb::none();
}

SolverHandle* FromMessage(const nb::bytes& serialized) {
  auto param = ParseMessage<SolverParameter>(serialized);
  UpgradeSolverAsNeeded("SolverParameter", &param);
  return new SolverHandle(param);
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  auto* handle = nb::inst_ptr<SolverHandle>(self);
  Py_VISIT(handle->net.ptr());
  Py_VISIT(handle->test_nets.ptr());
  Py_VISIT(handle->action.ptr());
  for (auto& callback : handle->callbacks) {
    for (nb::object& function : callback->functions()) Py_VISIT(function.ptr());
  }
  return 0;
}

int Clear(PyObject* self) {
  auto* handle = nb::inst_ptr<SolverHandle>(self);
  handle->net.reset();
  handle->test_nets.reset();
  handle->action.reset();
  for (auto& callback : handle->callbacks) {
    for (nb::object& function : callback->functions()) function.reset();
  }
  return 0;
}

PyType_Slot kSlots[] = {{Py_tp_traverse, reinterpret_cast<void*>(Traverse)},
                        {Py_tp_clear, reinterpret_cast<void*>(Clear)},
                        {0, nullptr}};

}  // namespace

template <typename... Args>
void SolverCallback::Call(std::size_t which, const Args&... args) {
  const nb::object& function = functions_[which];
  // No function, or one that the garbage collector has cleared.
  if (!function.is_valid() || function.is_none()) return;
  nb::gil_scoped_acquire gil;
  function(args...);
}

void SolverCallback::CallSettled(std::size_t which) {
  if (functions_[which].is_none()) return;
  SettleAll(*solver_);
  Call(which);
  SettleAll(*solver_);
}

SolverHandle::SolverHandle(const SolverParameter& param)
    : session(Session::Create()), action(nb::none()) {
  {
    Computing computing(session);
    solver.reset(SolverRegistry<float>::CreateSolver(param));
  }
  solver->SetActionFunction([this] { return Poll(); });
  net = Wrapped(solver->net());
  nb::list tests;
  for (const auto& test_net : solver->test_nets()) tests.append(Wrapped(test_net));
  test_nets = tests;
}

nb::object SolverHandle::Wrapped(const shared_ptr<Net<float>>& net) {
  auto* handle = new NetHandle(net, session);
  users.push_back(handle->users);
  return nb::cast(handle, nb::rv_policy::take_ownership);
}

void SolverHandle::BeginRun() {
  for (const auto& net_users : users) net_users->BeginAnew();
}

SolverAction::Enum SolverHandle::Poll() {
  SettleAll(*solver);
  {
    nb::gil_scoped_acquire gil;
    BeginRun();  // what others did before the last iteration is gone
  }
  Pause pause(session);
  nb::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
  if (!action.is_valid() || action.is_none()) return SolverAction::NONE;
  return nb::cast<SolverAction::Enum>(action());
}

void BindSolver(nb::module_& m) {
  nb::enum_<SolverAction::Enum>(m, "SolverAction", "What a solver can be asked for.")
      .value("NONE", SolverAction::NONE, "Go on.")
      .value("STOP", SolverAction::STOP,
             "End training; snapshot_after_train still holds.")
      .value("SNAPSHOT", SolverAction::SNAPSHOT, "Write a snapshot and go on.");

  nb::class_<SignalHandler>(m, "SignalHandler",
                            "Turns SIGINT, SIGHUP and SIGTERM into actions of a solver.")
      .def(nb::init<SolverAction::Enum, SolverAction::Enum>(), nb::arg("sigint"),
           nb::arg("sighup"))
      .def(
          "__call__", [](SignalHandler& self) { return self.GetActionFunction()(); },
          "The action of the signal that came in, if any.")
      .def_prop_ro(
          "stopped_by", [](SignalHandler& self) { return self.StoppedBy(); },
          "The signal whose action was to stop, 0 if there was none.");

  nb::class_<SolverHandle>(m, "Solver", nb::type_slots(kSlots),
                           "The engine's side of caffe.Solver.")
      .def_static("from_message", &FromMessage, nb::rv_policy::take_ownership,
                  nb::arg("serialized"))
      .def_prop_ro("type", [](SolverHandle& self) { return string(self.solver->type()); })
      .def_prop_ro("param",
                   [](SolverHandle& self) {
                     const string serialized = self.solver->param().SerializeAsString();
                     return nb::bytes(serialized.data(), serialized.size());
                   })
      .def(
          "update_param",
          [](SolverHandle& self, const nb::bytes& serialized) {
            const auto param = ParseMessage<SolverParameter>(serialized);
            Computing computing(self.session);
            self.solver->UpdateParam(param);
          },
          nb::arg("serialized"))
      .def_prop_ro(
          "net", [](SolverHandle& self) { return self.net; },
          nb::sig("def net(self) -> Net"))
      .def_prop_ro(
          "test_nets", [](SolverHandle& self) { return self.test_nets; },
          nb::sig("def test_nets(self) -> list[Net]"))
      .def_prop_ro("iter", [](SolverHandle& self) { return self.solver->iter(); })
      .def_prop_ro("smoothed_loss",
                   [](SolverHandle& self) { return self.solver->smoothed_loss(); })
      .def_prop_ro("snapshot_failures",
                   [](SolverHandle& self) { return self.solver->snapshot_failures(); })
      .def_prop_ro(
          "lr",
          [](SolverHandle& self) {
            auto* sgd = dynamic_cast<SGDSolver<float>*>(self.solver.get());
            if (!sgd) {
              throw NotImplementedFailure(Str("solver type '", self.solver->type(),
                                              "' does not tell its learning rate"));
            }
            return sgd->GetLearningRate();
          })
      .def_rw("action", &SolverHandle::action, nb::arg().none())
      .def(
          "step",
          [](SolverHandle& self, int iterations) {
            Locked lock(self.session);
            self.BeginRun();
            Computing computing(self.session);
            self.solver->Step(iterations);
            SettleAll(*self.solver);
          },
          nb::arg("iterations"))
      .def(
          "solve",
          [](SolverHandle& self, const std::optional<string>& resume_file) {
            Locked lock(self.session);
            self.BeginRun();
            Computing computing(self.session);
            self.solver->Solve(resume_file ? resume_file->c_str() : nullptr);
            SettleAll(*self.solver);
          },
          nb::arg("resume_file").none())
      .def("apply_update",
           [](SolverHandle& self) {
             Computing computing(self.session);
             self.solver->AverageGradients();
             self.solver->ApplyUpdate();
             SettleAll(*self.solver);
           })
      .def(
          "restore",
          [](SolverHandle& self, const string& file) {
            Computing computing(self.session);
            self.solver->Restore(file.c_str());
            SettleAll(*self.solver);
          },
          nb::arg("file"))
      .def("snapshot",
           [](SolverHandle& self) {
             Computing computing(self.session);
             self.solver->Snapshot();
           })
      .def(
          "add_callback",
          [](SolverHandle& self, Function<> on_start, Function<> on_gradients_ready,
             Function<float, float> on_display,
             Function<int, std::vector<std::pair<string, float>>> on_test) {
            Locked lock(self.session);
            self.callbacks.push_back(std::make_unique<SolverCallback>(
                self.solver.get(),
                SolverCallback::Functions{OrNone(on_start), OrNone(on_gradients_ready),
                                          OrNone(on_display), OrNone(on_test)}));
            self.solver->add_callback(self.callbacks.back().get());
          },
          nb::arg("on_start").none(), nb::arg("on_gradients_ready").none(),
          nb::arg("on_display").none(), nb::arg("on_test").none());

  m.def(
      "read_solver",
      [](const string& file) {
        SolverParameter param;
        ReadSolverParamsFromTextFileOrDie(file, &param);
        const string serialized = param.SerializeAsString();
        return nb::bytes(serialized.data(), serialized.size());
      },
      nb::arg("file"), "A solver prototxt, upgraded, as a serialized SolverParameter.");
  m.def(
      "upgrade_solver",
      [](const string& file) {
        SolverParameter param;
        ReadProtoFromTextFileOrDie(file, &param);
        const bool needed = SolverNeedsTypeUpgrade(param);
        UpgradeSolverAsNeeded(file, &param);
        const string serialized = param.SerializeAsString();
        return std::make_pair(nb::bytes(serialized.data(), serialized.size()), needed);
      },
      nb::arg("file"),
      "The same, but for the prefix of snapshots, which is left as it is; and whether it "
      "was of an old format.");
}

}  // namespace caffe::python
