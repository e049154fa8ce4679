#ifndef PYTHON_BINDINGS_SOLVER_HPP_
#define PYTHON_BINDINGS_SOLVER_HPP_

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/solver.hpp"
#include "net_users.hpp"
#include "session.hpp"

namespace caffe::python {

/// Calls Python functions at the solver's points of an iteration.
class SolverCallback : public Solver<float>::Callback {
 public:
  /// on_start, on_gradients_ready, on_display, on_test: each a function or None.
  using Functions = std::array<nb::object, 4>;

  SolverCallback(Solver<float>* solver, Functions functions)
      : solver_(solver), functions_(std::move(functions)) {}
  Functions& functions() { return functions_; }

 protected:
  void on_start() override { CallSettled(0); }
  void on_gradients_ready() override { CallSettled(1); }
  void on_display(float loss, float iter_per_s) override { Call(2, loss, iter_per_s); }
  void on_test(int net,
               const std::vector<std::pair<std::string, float>>& outputs) override {
    Call(3, net, outputs);
  }

 private:
  /// For functions that look into the nets, which takes time: see Blob::Settle.
  void CallSettled(std::size_t which);
  template <typename... Args>
  void Call(std::size_t which, const Args&... args);

  Solver<float>* solver_;
  Functions functions_;
};

/// The engine's side of `caffe.SGDSolver` and the others.
struct SolverHandle {
  explicit SolverHandle(const SolverParameter& param);
  SolverHandle(const SolverHandle&) = delete;
  SolverHandle& operator=(const SolverHandle&) = delete;

  /// What the solver asks after every iteration: lets other threads look into the
  /// nets, raises what a signal handler of Python raised, then asks `action`.
  SolverAction::Enum Poll();

  /// Tells the nets' other users that this thread runs them now.
  void BeginRun();

  SessionPtr session;
  std::unique_ptr<Solver<float>> solver;
  nb::object net;        ///< a NetHandle
  nb::object test_nets;  ///< a list of NetHandle
  nb::object action;     ///< None, or a function that returns an action
  std::vector<std::unique_ptr<SolverCallback>> callbacks;

 private:
  nb::object Wrapped(const std::shared_ptr<Net<float>>& net);

  std::vector<std::shared_ptr<NetUsers>> users;
};

void BindSolver(nb::module_& m);

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_SOLVER_HPP_
