#ifndef CAFFE_SOLVERS_TRAINING_GROUP_HPP_
#define CAFFE_SOLVERS_TRAINING_GROUP_HPP_

#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "caffe/parallel/gradient_sum.hpp"
#include "caffe/solver.hpp"

namespace caffe {

/// Leaves the group if an exception ends the work that the others wait for.
class GroupWork {
 public:
  explicit GroupWork(ProcessGroup* group)
      : group_(group), exceptions_(std::uncaught_exceptions()) {}
  ~GroupWork() {
    if (std::uncaught_exceptions() > exceptions_) group_->Leave();
  }

 private:
  ProcessGroup* group_;
  int exceptions_;
  DISABLE_COPY_AND_ASSIGN(GroupWork);
};

/// What the solvers of several processes do together. Every process makes the same
/// calls; alone they do nothing.
template <typename Dtype>
class TrainingGroup {
 public:
  /// `processes` must outlive it, and after MatchNets the net of that, too.
  explicit TrainingGroup(ProcessGroup* processes) : group_(processes) {}

  ProcessGroup* processes() const { return group_; }
  /// Whether this process tests and snapshots, or waits for rank 0 to do so.
  bool TakesPart() const;

  /// Starts the random stream with rank 0's seed, which data layers share their samples
  /// by, and as a stream of this rank's own; the log says how to repeat the run.
  void SeedRandomStream(const SolverParameter& param);
  /// Starts summing gradients, of nets that must be alike, from equal weights.
  void MatchNets(Net<Dtype>* net);
  /// At the start of Step: the same iterations everywhere, from equal weights.
  void MatchSteps(Net<Dtype>* net, int iter, int iters);
  /// Weights were loaded: the next MatchSteps makes them equal again.
  void WeightsHaveChanged() { weights_match_ = false; }

  /// The next backward pass puts the means over the group in place of the gradients, and
  /// of `loss`, which goes along.
  void AverageInNextBackward(Dtype* loss);
  /// Puts them there now.
  void AverageGradients();
  /// Averages what training changes without a rate: the statistics of batch norms.
  void AverageStatistics(Net<Dtype>* net);

  struct Requests {
    bool snapshot, stop;
  };
  /// What any process asks for, which then all do, in one sum.
  Requests RequestsOfAll(SolverAction::Enum own) const;

  Dtype Mean(Dtype value) const;
  SolverAction::Enum OfRankZero(SolverAction::Enum action) const;
  /// Runs `work` there, for which the others wait. What it throws; on the others a
  /// FileError that rank 0 could not do `what`.
  std::exception_ptr OnRankZero(const char* what,
                                const std::function<void()>& work) const;
  /// The text of the first rank that has one.
  string First(string text) const;

 private:
  bool Any(bool value) const;
  void BroadcastWeights(Net<Dtype>* net);

  ProcessGroup* group_;
  std::unique_ptr<GradientSum<Dtype>> gradient_sum_;
  bool weights_match_ = false;

  DISABLE_COPY_AND_ASSIGN(TrainingGroup);
};

}  // namespace caffe

#endif  // CAFFE_SOLVERS_TRAINING_GROUP_HPP_
