#ifndef PYTHON_BINDINGS_SOLVER_HPP_
#define PYTHON_BINDINGS_SOLVER_HPP_

#include <memory>
#include <vector>

#include "caffe/solver.hpp"
#include "session.hpp"

namespace caffe::python {

/// Calls Python functions at the solver's two points of an iteration.
class SolverCallback : public Solver<float>::Callback {
 public:
  SolverCallback(Solver<float>* solver, nb::object on_start,
                 nb::object on_gradients_ready)
      : solver_(solver), functions_{std::move(on_start), std::move(on_gradients_ready)} {}
  std::vector<nb::object>& functions() { return functions_; }

 protected:
  void on_start() override { Call(0); }
  void on_gradients_ready() override { Call(1); }

 private:
  void Call(std::size_t which);

  Solver<float>* solver_;
  std::vector<nb::object> functions_;
};

/// The engine's side of `caffe.SGDSolver` and the others.
struct SolverHandle {
  explicit SolverHandle(const SolverParameter& param);
  SolverHandle(const SolverHandle&) = delete;
  SolverHandle& operator=(const SolverHandle&) = delete;

  /// What the solver asks after every iteration: lets other threads look into the
  /// nets, raises what a signal handler of Python raised, then asks `action`.
  SolverAction::Enum Poll();

  SessionPtr session;
  std::unique_ptr<Solver<float>> solver;
  nb::object net;        ///< a NetHandle
  nb::object test_nets;  ///< a list of NetHandle
  nb::object action;     ///< None, or a function that returns an action
  std::vector<std::unique_ptr<SolverCallback>> callbacks;
};

void BindSolver(nb::module_& m);

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_SOLVER_HPP_
