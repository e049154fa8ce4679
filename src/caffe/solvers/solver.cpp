#include "caffe/solver.hpp"

#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "caffe/parallel/gradient_sum.hpp"
#include "caffe/proto/check_numbers.hpp"
#include "caffe/solvers/not_finite.hpp"
#include "caffe/util/upgrade_proto.hpp"

// Construction, the training loop, tests and their log lines. The nets are built in
// solver_nets.cpp, snapshots are in solver_snapshot.cpp, and what several processes do
// together in solver_parallel.cpp.

namespace caffe {
namespace {

/// Starts the random stream, and leaves in the log how to repeat the run.
void StartRandomStream(const SolverParameter& param) {
  if (param.random_seed() >= 0) {
    Caffe::set_random_seed(static_cast<unsigned int>(param.random_seed()));
    return;
  }
  // A stream that nobody has seeded has a 64-bit seed of the system's. One within the
  // range of random_seed may be the caller's choice and is kept.
  if (Caffe::random_seed() > std::numeric_limits<unsigned int>::max()) {
    Caffe::set_random_seed(std::random_device()());
  }
  const std::uint64_t drawn = caffe_rng()->counter();
  LOG_IF(INFO, Caffe::root_solver())
      << "Random seed: " << Caffe::random_seed()
      << (drawn == 0 ? std::string(" (random_seed of the solver repeats this run)")
                     : Str(" (", drawn, " numbers of its stream are used up)"));
}

/// Starts it with rank 0's seed, which data layers share their samples by, and as a
/// stream of this rank's own.
void SeedRandomStream(const SolverParameter& param, ProcessGroup* group) {
  StartRandomStream(param);
  std::uint64_t start[] = {caffe_rng()->seed(), caffe_rng()->counter()};
  group->Broadcast(start, sizeof(start));
  *caffe_rng() = rng_t(start[0], Caffe::solver_rank());
  caffe_rng()->Seek(start[1]);
}

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

/// " (* 0.5 = 0.12 loss)" for an output that enters the loss.
template <typename Dtype>
string LossText(Dtype loss_weight, Dtype value) {
  if (!loss_weight) return "";
  return Str(" (* ", loss_weight, " = ", loss_weight * value, " loss)");
}

}  // namespace

template <typename Dtype>
Solver<Dtype>::Solver(const SolverParameter& param)
    : requested_early_exit_(false), iterations_last_(0) {
  Init(param);
}

template <typename Dtype>
Solver<Dtype>::Solver(const string& param_file)
    : requested_early_exit_(false), iterations_last_(0) {
  SolverParameter param;
  ReadSolverParamsFromTextFileOrDie(param_file, &param);
  Init(param);
}

template <typename Dtype>
Solver<Dtype>::~Solver() {}

template <typename Dtype>
void Solver<Dtype>::Init(const SolverParameter& param) {
  group_ = &ProcessGroup::Join();
  LOG_IF(INFO, Caffe::root_solver())
      << "Initializing solver from parameters: " << std::endl
      << param.DebugString();
  CheckNumbers(param, "solver");
  param_ = param;
  iter_ = 0;
  current_step_ = 0;
  losses_.clear();
  smoothed_loss_ = 0;
  snapshot_failures_ = 0;
  last_snapshot_failed_ = false;
  warned_not_finite_ = false;
  weights_match_ = false;
  const GroupWork work(group_);
  if (param_.snapshot()) CheckSnapshotWritePermissions();
  SeedRandomStream(param_, group_);
  InitTrainNet();
  InitTestNets();
  MatchNets();
  LOG_IF(INFO, Caffe::root_solver()) << "Solver scaffolding done.";
}

template <typename Dtype>
void Solver<Dtype>::SetActionFunction(ActionCallback func) {
  action_request_function_ = std::move(func);
}

template <typename Dtype>
SolverAction::Enum Solver<Dtype>::GetRequestedAction() {
  return action_request_function_ ? action_request_function_() : SolverAction::NONE;
}

template <typename Dtype>
void Solver<Dtype>::Solve(const char* resume_file) {
  ProcessGroup::Join();
  CHECK(TakesPart()) << "only the root solver runs Solve()";
  const GroupWork work(group_);
  // Differs from BVLC, which trains nothing and says that it is done.
  if (!param_.has_max_iter()) {
    throw ValueError(
        "solver: max_iter is missing, expected the number of iterations to train for");
  }
  LOG(INFO) << "Solving " << net_->name();
  LOG(INFO) << "Learning Rate Policy: " << param_.lr_policy();
  requested_early_exit_ = false;
  if (resume_file) {
    LOG(INFO) << "Restoring previous solver status from " << resume_file;
    Restore(resume_file);
  }
  // Differs from BVLC, which finds out after training that it cannot be saved.
  if (param_.snapshot_after_train()) CheckSnapshotWritePermissions();

  const int start_iter = iter_;
  Step(param_.max_iter() - iter_);
  const bool saved =
      param_.snapshot() && iter_ % param_.snapshot() == 0 && !last_snapshot_failed_;
  if (param_.snapshot_after_train() && !saved) TrySnapshot();
  if (snapshot_failures_ > 0) {
    LOG(ERROR) << snapshot_failures_ << " snapshot(s) could not be written; "
               << LastSnapshot();
  }
  if (requested_early_exit_) {
    LOG(INFO) << "Optimization stopped early.";
    return;
  }
  // Differs from BVLC, which tests last: a Forward in training moves the running
  // statistics of batch norms, and the last test is to be that of the last snapshot.
  if (param_.test_interval() && iter_ % param_.test_interval() == 0) TestAll();
  // The loss with the last update in it; Step has logged the one before.
  if (param_.display() && iter_ % param_.display() == 0) {
    const rng_t stream = *caffe_rng();
    Dtype loss;
    net_->Forward(&loss);
    const Dtype mean = MeanOfGroup(loss);
    UpdateSmoothedLoss(mean, start_iter, param_.average_loss());
    if (!std::isfinite(mean)) {
      const bool own = !std::isfinite(loss) && !warned_not_finite_;
      OnNotFiniteLoss(mean, own ? FirstNotFinite(net_.get(), stream) : "");
    }
    LOG(INFO) << "Iteration " << iter_ << ", loss = " << smoothed_loss_;
    for (Callback* callback : callbacks_) callback->on_display(loss, 0);
  }
  LOG(INFO) << "Optimization Done.";
}

template <typename Dtype>
void Solver<Dtype>::Step(int iters) {
  if (iters < 0) {
    throw ValueError("solver",
                     Str("Step got ", iters, " iterations, expected 0 or more"));
  }
  ProcessGroup::Join();
  const GroupWork work(group_);
  MatchSteps(iters);
  const int start_iter = iter_;
  const std::int64_t stop_iter = std::int64_t{iter_} + iters;
  requested_early_exit_ = false;
  iterations_last_ = iter_;
  iteration_timer_.Start();

  while (iter_ < stop_iter) {
    if (param_.test_interval() && iter_ % param_.test_interval() == 0 &&
        (iter_ > 0 || param_.test_initialization())) {
      if (TakesPart()) TestAll();
      if (requested_early_exit_) break;
    }

    // Differs from BVLC, which clears before the test: other threads have their turn
    // in between, and may run backward.
    net_->ClearParamDiffs();
    for (Callback* callback : callbacks_) callback->on_start();
    const bool display = param_.display() && iter_ % param_.display() == 0;
    net_->set_debug_info(display && param_.debug_info());
    Dtype loss = 0;
    string cause;
    for (int i = 0; i < param_.iter_size(); ++i) {
      const bool last = i + 1 == param_.iter_size();
      if (last && gradient_sum_) gradient_sum_->SumInNextBackward();
      const rng_t stream = *caffe_rng();
      const Dtype part = net_->ForwardBackward();
      if (!std::isfinite(part) && cause.empty() && !warned_not_finite_) {
        cause = FirstNotFinite(net_.get(), stream);
      }
      loss += part;
    }
    loss /= param_.iter_size();
    const Dtype mean = MeanOfGroup(loss);
    UpdateSmoothedLoss(mean, start_iter, param_.average_loss());
    if (!std::isfinite(mean)) {
      OnNotFiniteLoss(mean, std::move(cause));
    } else if (!untried_snapshot_.empty()) {
      last_good_snapshot_ = std::move(untried_snapshot_);
      untried_snapshot_.clear();
    }
    if (display) DisplayIteration(loss);
    for (Callback* callback : callbacks_) callback->on_gradients_ready();

    const int iteration = iter_;
    ApplyUpdate();
    // Solvers written for Caffe 1.0 leave the counting to Step, later ones do not.
    if (iter_ == iteration) ++iter_;

    const SolverAction::Enum request = GetRequestedAction();
    const bool due = param_.snapshot() && iter_ % param_.snapshot() == 0;
    const bool asked = AnyOfGroup(request == SolverAction::SNAPSHOT);
    if (TakesPart() && (due || asked)) TrySnapshot();
    if (AnyOfGroup(request == SolverAction::STOP)) {
      requested_early_exit_ = true;
      break;
    }
  }
}

template <typename Dtype>
void Solver<Dtype>::UpdateSmoothedLoss(Dtype loss, int, int average_loss) {
  // Differs from BVLC, which forgets the losses at every call of Step: a loop of
  // Step(1), and a run continued from a snapshot, average like one long Step.
  losses_.push_back(loss);
  if (losses_.size() > static_cast<size_t>(average_loss)) losses_.erase(losses_.begin());
  double sum = 0;
  for (const Dtype value : losses_) sum += value;
  smoothed_loss_ = static_cast<Dtype>(sum / losses_.size());
}

// Differs from BVLC, which trains on in silence and saves the ruins.
template <typename Dtype>
void Solver<Dtype>::OnNotFiniteLoss(Dtype loss, string cause) {
  const bool stop = param_.on_nan() == SolverParameter::STOP;
  if (!stop && warned_not_finite_) return;
  warned_not_finite_ = true;
  cause = FirstOfGroup(std::move(cause));
  if (cause.empty()) {
    cause =
        "all outputs of that batch are finite when computed again: their sum with the "
        "loss weights is not, or a layer does not compute the same twice";
  }
  const string message = Str("iteration ", iter_, ": the loss is ", loss,
                             ", expected a finite number; ", cause);
  if (stop) {
    throw RuntimeFailure(Str(
        "solver: ", message, "; ", LastGoodSnapshot(),
        " with a smaller base_lr, or with clip_gradients (caffe train "
        "-on_nan continue, or on_nan: CONTINUE in the solver, trains on regardless)"));
  }
  LOG_IF(WARNING, Caffe::root_solver())
      << message << "; training goes on, a smaller base_lr or clip_gradients may help";
}

template <typename Dtype>
void Solver<Dtype>::CheckWeightsFinite() const {
  if (param_.on_nan() != SolverParameter::STOP) return;
  const string bad = FirstParameterNotFinite(*net_);
  if (bad.empty()) return;
  throw RuntimeFailure(
      Str("solver: the weights after iteration ", iter_, " are not saved: ", bad,
          " are not finite; ", LastGoodSnapshot(),
          " with a smaller base_lr, or with clip_gradients (caffe train "
          "-on_nan continue, or on_nan: CONTINUE in the solver, saves them)"));
}

template <typename Dtype>
void Solver<Dtype>::DisplayIteration(Dtype loss) {
  const float lapse = iteration_timer_.Seconds();
  const float per_s = (iter_ - iterations_last_) / (lapse ? lapse : 1);
  LOG_IF(INFO, Caffe::root_solver())
      << "Iteration " << iter_ << " (" << per_s << " iter/s, " << lapse << "s/"
      << param_.display() << " iters), loss = " << smoothed_loss_;
  iteration_timer_.Start();
  iterations_last_ = iter_;
  DisplayOutputBlobs(-1);
  if (!Caffe::root_solver()) return;
  for (Callback* callback : callbacks_) callback->on_display(loss, per_s);
}

template <typename Dtype>
void Solver<Dtype>::DisplayOutputBlobs(const int net_id) {
  const Net<Dtype>& net = net_id < 0 ? *net_ : *test_nets_[net_id];
  int score = 0;
  for (size_t j = 0; j < net.output_blobs().size(); ++j) {
    const int blob = net.output_blob_indices()[j];
    const Dtype* values = net.output_blobs()[j]->cpu_data();
    for (int k = 0; k < net.output_blobs()[j]->count(); ++k) {
      LOG_IF(INFO, Caffe::root_solver())
          << "    " << (net_id < 0 ? "Train" : "Test") << " net output #" << score++
          << ": " << net.blob_names()[blob] << " = " << values[k]
          << LossText(net.blob_loss_weights()[blob], values[k]);
    }
  }
}

template <typename Dtype>
void Solver<Dtype>::TestAll() {
  AverageStatistics();
  position_ = CapturePosition();
  SolverAction::Enum action = SolverAction::NONE;
  if (Caffe::root_solver()) {
    for (size_t i = 0; i < test_nets_.size() && !requested_early_exit_; ++i) {
      Test(static_cast<int>(i));
    }
    action = OfRankZero(requested_early_exit_ ? SolverAction::STOP : SolverAction::NONE);
  } else {
    while ((action = OfRankZero(SolverAction::NONE)) == SolverAction::SNAPSHOT) {
      TrySnapshot();
    }
  }
  requested_early_exit_ = action == SolverAction::STOP;
  if (!requested_early_exit_) position_.reset();
}

template <typename Dtype>
void Solver<Dtype>::Test(const int test_net_id) {
  CHECK(Caffe::root_solver()) << "only the root solver tests";
  LOG(INFO) << "Iteration " << iter_ << ", Testing net (#" << test_net_id << ")";
  Net<Dtype>& net = *test_nets_[test_net_id];
  net.ShareTrainedLayersWith(net_.get());
  const int iterations = param_.test_iter(test_net_id);
  vector<double> scores;
  vector<int> score_blobs;
  double loss = 0;
  for (int i = 0; i < iterations; ++i) {
    for (auto request = GetRequestedAction(); request != SolverAction::NONE;
         request = GetRequestedAction()) {
      if (request == SolverAction::SNAPSHOT) {
        OfRankZero(request);
        TrySnapshot();
      }
      if (request == SolverAction::STOP) requested_early_exit_ = true;
    }
    if (requested_early_exit_) {
      LOG(INFO) << "Test interrupted.";
      return;
    }
    Dtype iteration_loss;
    const vector<Blob<Dtype>*>& outputs = net.Forward(&iteration_loss);
    loss += iteration_loss;
    size_t score = 0;
    for (size_t j = 0; j < outputs.size(); ++j) {
      const Dtype* values = outputs[j]->cpu_data();
      for (int k = 0; k < outputs[j]->count(); ++k, ++score) {
        if (score == scores.size()) {
          scores.push_back(0);
          score_blobs.push_back(net.output_blob_indices()[j]);
        }
        scores[score] += values[k];
      }
    }
  }
  if (param_.test_compute_loss() && iterations > 0) {
    LOG(INFO) << "Test loss: " << static_cast<Dtype>(loss / iterations);
  }
  vector<std::pair<string, Dtype>> outputs;
  for (size_t i = 0; i < scores.size(); ++i) {
    const Dtype mean = static_cast<Dtype>(scores[i] / iterations);
    outputs.emplace_back(net.blob_names()[score_blobs[i]], mean);
    LOG(INFO) << "    Test net output #" << i << ": " << outputs.back().first << " = "
              << mean << LossText(net.blob_loss_weights()[score_blobs[i]], mean);
  }
  for (Callback* callback : callbacks_) callback->on_test(test_net_id, outputs);
}

INSTANTIATE_CLASS(Solver);

}  // namespace caffe
