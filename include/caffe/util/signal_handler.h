#ifndef INCLUDE_CAFFE_UTIL_SIGNAL_HANDLER_H_
#define INCLUDE_CAFFE_UTIL_SIGNAL_HANDLER_H_

#include "caffe/solver.hpp"

namespace caffe {

/// While it lives, SIGINT, SIGHUP and SIGTERM ask the solver for an action instead of
/// ending the process, and says so on stderr at once. SIGTERM always stops: batch
/// systems, service managers and mpirun send it to say that they end the process soon.
/// BVLC dies of it.
///
///     SignalHandler handler(SolverAction::STOP, SolverAction::SNAPSHOT);
///     solver->SetActionFunction(handler.GetActionFunction());
///
/// The process's former handlers are put back when the last such object goes, so
/// it can be used inside a process that has its own, such as Python. Signals are a
/// matter of the whole process: one that arrives is reported once, by whichever
/// action function is asked first.
class SignalHandler {
 public:
  /// The actions for those two signals; NONE swallows the signal.
  SignalHandler(SolverAction::Enum SIGINT_action, SolverAction::Enum SIGHUP_action);
  ~SignalHandler();
  /// For Solver::SetActionFunction; it may outlive this object.
  ActionCallback GetActionFunction();
  /// The signal that an action function of this process has answered with STOP since the
  /// first of the living objects was made, the last if there were several; 0 if none.
  static int StoppedBy();

 private:
  SolverAction::Enum SIGINT_action_;
  SolverAction::Enum SIGHUP_action_;

  DISABLE_COPY_AND_ASSIGN(SignalHandler);
};

}  // namespace caffe

#endif  // INCLUDE_CAFFE_UTIL_SIGNAL_HANDLER_H_
