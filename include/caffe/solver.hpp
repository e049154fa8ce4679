#ifndef CAFFE_SOLVER_HPP_
#define CAFFE_SOLVER_HPP_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/util/benchmark.hpp"

namespace caffe {

class LossScale;
class SnapshotRecord;
template <typename Dtype>
class TrainingGroup;

/// What a client of the solver can ask for between two iterations.
namespace SolverAction {
enum Enum {
  NONE = 0,     ///< go on
  STOP = 1,     ///< end training; snapshot_after_train still holds
  SNAPSHOT = 2  ///< write a snapshot and go on
};
}  // namespace SolverAction

/// Asked by the solver between iterations.
typedef std::function<SolverAction::Enum()> ActionCallback;

/// Minimises the loss of a net: owns the train net and the test nets, runs the
/// iterations, logs, tests and writes snapshots. A subclass implements the
/// update rule.
///
/// A loss that is no finite number ends training with RuntimeFailure, which names the
/// layer in which that began, and so do such weights before they are saved; see
/// SolverParameter.on_nan.
///
/// An iteration is: test if due; iter_size times forward and backward; the
/// callbacks' on_gradients_ready; ApplyUpdate; snapshot if due or asked for.
///
/// A net of precision FP16 has its gradients times a scale that Step chooses, so that
/// callbacks see those; an iteration with one that is not finite does not update.
///
/// In a group of processes (see ProcessGroup) every process makes the same solver and
/// makes the same calls of it. An iteration then has size() times the samples: each
/// process takes its own, gradients and losses are the means of all, and the weights
/// stay the same everywhere. Rank 0 alone tests and writes files. A call that throws
/// on one process ends the group, but for Snapshot, which throws on all.
///
/// Everything random follows from SolverParameter.random_seed, and a solver
/// that has restored a snapshot goes on exactly as the one that wrote it would
/// have done, bit for bit.
template <typename Dtype>
class Solver {
 public:
  explicit Solver(const SolverParameter& param);
  /// Reads a solver prototxt.
  explicit Solver(const string& param_file);
  void Init(const SolverParameter& param);
  void InitTrainNet();
  void InitTestNets();
  virtual ~Solver();

  /// The function that is asked for an action after every iteration and
  /// between the batches of a test; see SignalHandler.
  void SetActionFunction(ActionCallback func);
  SolverAction::Enum GetRequestedAction();

  /// Trains until max_iter, from `resume_file` (a solverstate) if given.
  ///
  /// A snapshot that cannot be written does not end training: it is logged and
  /// counted in snapshot_failures(), and the snapshots before it stay.
  virtual void Solve(const char* resume_file = nullptr);
  inline void Solve(const string& resume_file) { Solve(resume_file.c_str()); }
  /// Trains for `iters` iterations or until asked to stop.
  void Step(int iters);

  /// Continues from a solverstate, binary or HDF5, and the weights it names. If
  /// those are not where the file says, they are looked for beside it.
  /// Throws FileError or ValueError when a file is missing, of another kind, or
  /// belongs to another net or type of solver; nothing has changed then unless
  /// it was a layer that refused its weights or its state.
  void Restore(const char* resume_file);
  /// Writes <snapshot_prefix>_iter_<iter>.caffemodel and .solverstate, the
  /// former first, each complete or not at all. Throws FileError.
  void Snapshot();

  inline const SolverParameter& param() const { return param_; }
  /// Goes on with other settings. Throws ValueError, and changes nothing, if they make no
  /// sense, or if one differs that is only read at the start, such as a net or the seed.
  void UpdateParam(const SolverParameter& param);
  inline SharedResult<Net<Dtype>> net() { return SharedResult<Net<Dtype>>(net_); }
  inline const vector<shared_ptr<Net<Dtype>>>& test_nets() { return test_nets_; }
  /// Number of updates the weights have had.
  int iter() const { return iter_; }
  /// Snapshots that were due in Step or Solve and could not be written.
  int snapshot_failures() const;
  /// Mean of the losses of the last average_loss iterations.
  Dtype smoothed_loss() const { return smoothed_loss_; }

  /// Invoked at specific points during an iteration.
  class Callback {
   public:
    virtual ~Callback() {}

   protected:
    /// Before the first forward pass.
    virtual void on_start() = 0;
    /// After the last backward pass, before the update.
    virtual void on_gradients_ready() = 0;
    /// After the log has shown iter() and smoothed_loss(). `loss` is the iteration's
    /// own; `iter_per_s` is since the last such point, 0 if there is none.
    virtual void on_display(Dtype /*loss*/, float /*iter_per_s*/) {}
    /// After the log has shown a test of iter(): the mean of every output, with the
    /// name of its blob, in the order of the log.
    virtual void on_test(int /*net*/,
                         const vector<std::pair<string, Dtype>>& /*outputs*/) {}

    template <typename T>
    friend class Solver;
  };
  const vector<Callback*>& callbacks() const { return callbacks_; }
  /// The callback stays the caller's and must outlive the solver's last Step.
  void add_callback(Callback* value) { callbacks_.push_back(value); }

  /// Throws FileError if a snapshot could not be created now.
  void CheckSnapshotWritePermissions();
  /// The registered name, e.g. "SGD".
  virtual inline const char* type() const { return ""; }

  /// For a loop of one's own in place of Step: puts the means over the group in place
  /// of the train net's gradients. To be called before ApplyUpdate.
  void AverageGradients();
  /// Updates the weights from the gradients. The built-in solvers advance iter()
  /// here; Step does it for those that do not.
  virtual void ApplyUpdate() = 0;

 protected:
  /// <snapshot_prefix>_iter_<iter><extension>
  string SnapshotFilename(const string& extension) {
    return param_.snapshot_prefix() + "_iter_" + std::to_string(iter_) + extension;
  }
  string SnapshotToBinaryProto();
  string SnapshotToHDF5();
  void TestAll();
  void Test(const int test_net_id = 0);

  virtual void SnapshotSolverState(const string& model_filename) = 0;
  virtual void RestoreSolverStateFromHDF5(const string& state_file) = 0;
  virtual void RestoreSolverStateFromBinaryProto(const string& state_file) = 0;
  void DisplayOutputBlobs(const int net_id);
  void UpdateSmoothedLoss(Dtype loss, int start_iter, int average_loss);

  // For SnapshotSolverState and RestoreSolverState*: all of a SolverState that
  // does not depend on the update rule.

  /// Fills everything but the history.
  void ExportState(const string& model_filename, SolverState* state) const;
  /// Loads the weights `state` names and takes everything but the history.
  void ImportState(const string& state_file, const SolverState& state);

  /// Whether ApplyUpdate multiplies gradients by gradient_factor(). Where it does not,
  /// Step does so before, in a pass of its own.
  virtual bool TakesScaledGradients() const { return false; }
  /// What the gradients are to be multiplied by: 1 over the loss scale of precision FP16.
  Dtype gradient_factor() const { return gradient_factor_; }

  SolverParameter param_;
  int iter_;
  int current_step_;
  shared_ptr<Net<Dtype>> net_;
  vector<shared_ptr<Net<Dtype>>> test_nets_;
  vector<Callback*> callbacks_;
  /// The last average_loss losses, oldest first, and their mean.
  vector<Dtype> losses_;
  Dtype smoothed_loss_;

  ActionCallback action_request_function_;
  /// Set when a stop was asked for in the last Step.
  bool requested_early_exit_ = false;

  Timer iteration_timer_;
  float iterations_last_ = 0;

 private:
  /// Snapshot for Step and Solve, which go on when it fails.
  void TrySnapshot();
  void DisplayIteration(Dtype loss);
  /// Whether the loss is scaled in this net, precision and mode.
  bool ScalesLoss() const;
  /// ApplyUpdate, unless the loss is scaled and a gradient is not finite.
  void UpdateIfFinite();
  /// Counts the loss of all processes; `cause` says where one that is not finite began.
  void TakeLoss(Dtype loss, const string& cause);

  std::unique_ptr<TrainingGroup<Dtype>> group_;
  std::unique_ptr<SnapshotRecord> snapshots_;
  bool warned_not_finite_;
  /// Where a run goes on from a snapshot that is being written. In a test, and when one
  /// was interrupted, that is where it began, since the resumed run repeats it.
  std::unique_ptr<SolverState> position_;
  std::unique_ptr<LossScale> loss_scale_;
  Dtype gradient_factor_ = 1;

  DISABLE_COPY_AND_ASSIGN(Solver);
};

}  // namespace caffe

#endif  // CAFFE_SOLVER_HPP_
