#include "caffe/solver.hpp"

#include <cmath>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caffe/proto/check_numbers.hpp"
#include "caffe/solvers/file_digest.hpp"
#include "caffe/solvers/gradient_norm.hpp"
#include "caffe/solvers/loss_scale.hpp"
#include "caffe/solvers/not_finite.hpp"
#include "caffe/solvers/output_means.hpp"
#include "caffe/solvers/run_position.hpp"
#include "caffe/solvers/snapshot_files.hpp"
#include "caffe/solvers/solver_nets.hpp"
#include "caffe/solvers/solver_state_file.hpp"
#include "caffe/solvers/training_group.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"

namespace caffe {

template <typename Dtype>
Solver<Dtype>::Solver(const SolverParameter& param) {
  Init(param);
}

template <typename Dtype>
Solver<Dtype>::Solver(const string& param_file) {
  SolverParameter param;
  ReadSolverParamsFromTextFileOrDie(param_file, &param);
  Init(param);
}

template <typename Dtype>
Solver<Dtype>::~Solver() {}

template <typename Dtype>
void Solver<Dtype>::Init(const SolverParameter& param) {
  group_ = std::make_unique<TrainingGroup<Dtype>>(&ProcessGroup::Join());
  snapshots_ = std::make_unique<SnapshotRecord>();
  LOG_IF(INFO, Caffe::root_solver())
      << "Initializing solver from parameters: " << std::endl
      << param.DebugString();
  CheckNumbers(param, "solver");
  param_ = param;
  iter_ = 0;
  current_step_ = 0;
  losses_.clear();
  smoothed_loss_ = 0;
  warned_not_finite_ = false;
  loss_scale_ = std::make_unique<LossScale>();
  const GroupWork work(group_->processes());
  if (param_.snapshot()) CheckSnapshotWritePermissions();
  group_->SeedRandomStream(param_);
  InitTrainNet();
  InitTestNets();
  group_->MatchNets(net_.get());
  LOG_IF(INFO, Caffe::root_solver()) << "Solver scaffolding done.";
}

template <typename Dtype>
void Solver<Dtype>::UpdateParam(const SolverParameter& param) {
  CheckNumbers(param, "solver");
  const auto* type = SolverParameter::descriptor();
  const auto text_of = [](const SolverParameter& from, const auto* field) {
    SolverParameter copy = from, alone;
    copy.GetReflection()->SwapFields(&copy, &alone, {field});
    return alone.SerializeAsString();
  };
  for (const char* name :
       {"net", "net_param", "train_net", "test_net", "train_net_param", "test_net_param",
        "train_state", "test_state", "weights", "solver_mode", "device_id", "random_seed",
        "type", "solver_type"}) {
    const auto* field = type->FindFieldByName(name);
    if (text_of(param, field) == text_of(param_, field)) continue;
    throw ValueError("solver", Str(name,
                                   " cannot change any more: it is read when the solver "
                                   "is made; make another one"));
  }
  if (param.test_iter_size() != param_.test_iter_size()) {
    throw ValueError("solver", Str("test_iter has ", param.test_iter_size(),
                                   " value(s), expected ", param_.test_iter_size(),
                                   " as at the start, one for each test net"));
  }
  param_ = param;
}

template <typename Dtype>
void Solver<Dtype>::InitTrainNet() {
  net_ = BuildTrainNet<Dtype>(param_);
}

template <typename Dtype>
void Solver<Dtype>::InitTestNets() {
  test_nets_ = BuildTestNets<Dtype>(param_, net_.get());
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
  CHECK(group_->TakesPart()) << "only the root solver runs Solve()";
  const GroupWork work(group_->processes());
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

  Step(std::max(0, param_.max_iter() - iter_));
  const bool saved =
      param_.snapshot() && iter_ % param_.snapshot() == 0 && !snapshots_->last_failed();
  if (param_.snapshot_after_train() && !saved) TrySnapshot();
  LOG_IF(ERROR, snapshots_->failures() > 0)
      << snapshots_->failures() << " snapshot(s) could not be written; "
      << snapshots_->Last();
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
    const bool look = !std::isfinite(loss) && !warned_not_finite_;
    const string cause = look ? FirstNotFinite(net_.get(), stream) : "";
    TakeLoss(group_->Mean(loss), cause);
    LOG(INFO) << "Iteration " << iter_ << ", loss = " << smoothed_loss_;
    for (Callback* callback : callbacks_) callback->on_display(loss, 0);
  }
  LOG(INFO) << "Optimization Done.";
}

namespace {

/// While it lives, backward passes give gradients times `scale`; an error ends that, too.
template <typename Dtype>
class ScaledBackward {
 public:
  ScaledBackward(Net<Dtype>* net, double scale) : net_(net) {
    net_->set_loss_scale(static_cast<Dtype>(scale));
  }
  ~ScaledBackward() { net_->set_loss_scale(1); }
  DISABLE_COPY_AND_ASSIGN(ScaledBackward);

 private:
  Net<Dtype>* net_;
};

}  // namespace

template <typename Dtype>
void Solver<Dtype>::Step(int iters) {
  if (iters < 0) {
    throw ValueError("solver",
                     Str("Step got ", iters, " iterations, expected 0 or more"));
  }
  ProcessGroup::Join();
  const GroupWork work(group_->processes());
  group_->MatchSteps(net_.get(), iter_, iters);
  const std::int64_t stop_iter = std::int64_t{iter_} + iters;
  requested_early_exit_ = false;
  iterations_last_ = iter_;
  iteration_timer_.Start();

  while (iter_ < stop_iter) {
    if (param_.test_interval() && iter_ % param_.test_interval() == 0 &&
        (iter_ > 0 || param_.test_initialization())) {
      if (group_->TakesPart()) TestAll();
      if (requested_early_exit_) break;
    }

    // Differs from BVLC, which clears before the test: other threads have their turn
    // in between, and may run backward.
    net_->ClearParamDiffs();
    for (Callback* callback : callbacks_) callback->on_start();
    const bool display = param_.display() && iter_ % param_.display() == 0;
    net_->set_debug_info(display && param_.debug_info());
    Dtype loss = 0;
    Dtype mean = 0;
    string cause;
    const bool scales_loss = ScalesLoss();
    for (int i = 0; i < param_.iter_size(); ++i) {
      const rng_t stream = *caffe_rng();
      Dtype part;
      net_->Forward(&part);
      loss += part;
      if (i + 1 == param_.iter_size()) {
        mean = loss /= param_.iter_size();
        group_->AverageInNextBackward(&mean);
      }
      {
        const ScaledBackward scaled(net_.get(), scales_loss ? loss_scale_->value() : 1);
        net_->Backward();
      }
      if (!std::isfinite(part) && cause.empty() && !warned_not_finite_) {
        cause = FirstNotFinite(net_.get(), stream);
      }
    }
    TakeLoss(mean, cause);
    if (display) DisplayIteration(loss);
    for (Callback* callback : callbacks_) callback->on_gradients_ready();

    const int iteration = iter_;
    if (scales_loss) {
      UpdateIfFinite();
    } else {
      ApplyUpdate();
    }
    // Solvers written for Caffe 1.0 leave the counting to Step, later ones do not.
    if (iter_ == iteration) ++iter_;

    const auto asked = group_->RequestsOfAll(GetRequestedAction());
    const bool due = param_.snapshot() && iter_ % param_.snapshot() == 0;
    if (group_->TakesPart() && (due || asked.snapshot)) TrySnapshot();
    requested_early_exit_ = asked.stop;
    if (asked.stop) break;
  }
}

template <typename Dtype>
bool Solver<Dtype>::ScalesLoss() const {
  return net_->precision() == NetParameter::FP16 && Caffe::mode() == Caffe::GPU;
}

template <typename Dtype>
void Solver<Dtype>::UpdateIfFinite() {
  const double scale = loss_scale_->value();
  if (!loss_scale_->Take(SumOfSquaredGradients(*net_))) {
    LOG_IF(INFO, Caffe::root_solver())
        << "Iteration " << iter_ << ", loss scale " << static_cast<std::int64_t>(scale)
        << ": update skipped (" << loss_scale_->skipped_updates() << " so far)";
    return;
  }
  const Dtype factor = static_cast<Dtype>(1 / scale);
  if (!TakesScaledGradients()) {
    for (Blob<Dtype>* param : net_->learnable_params()) param->scale_diff(factor);
    ApplyUpdate();
    return;
  }
  gradient_factor_ = factor;
  ApplyUpdate();
  gradient_factor_ = 1;
}

template <typename Dtype>
void Solver<Dtype>::UpdateSmoothedLoss(Dtype loss, int, int average_loss) {
  // Differs from BVLC, which forgets the losses at every call of Step: a loop of
  // Step(1), and a run continued from a snapshot, average like one long Step.
  losses_.push_back(loss);
  if (losses_.size() > static_cast<size_t>(average_loss)) {
    losses_.erase(losses_.begin(), losses_.end() - average_loss);
  }
  double sum = 0;
  for (const Dtype value : losses_) sum += value;
  smoothed_loss_ = static_cast<Dtype>(sum / losses_.size());
}

template <typename Dtype>
void Solver<Dtype>::TakeLoss(Dtype loss, const string& cause) {
  UpdateSmoothedLoss(loss, iter_, param_.average_loss());
  if (std::isfinite(loss)) {
    snapshots_->LossIsFinite();
  } else if (param_.on_nan() == SolverParameter::STOP || !warned_not_finite_) {
    warned_not_finite_ = true;
    StopAtLoss(param_, iter_, loss, group_->First(cause), snapshots_->LastGood());
  }
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
  if (!Caffe::root_solver()) return;
  OutputMeans<Dtype> outputs(net_id < 0 ? *net_ : *test_nets_[net_id]);
  outputs.Add(0);
  const char* phase = net_id < 0 ? "Train" : "Test";
  for (const string& line : outputs.Lines(phase)) LOG(INFO) << line;
}

template <typename Dtype>
void Solver<Dtype>::TestAll() {
  group_->AverageStatistics(net_.get());
  position_ = CapturePosition(*net_, test_nets_, group_->processes());
  SolverAction::Enum action = SolverAction::NONE;
  if (Caffe::root_solver()) {
    for (size_t i = 0; i < test_nets_.size() && !requested_early_exit_; ++i) {
      Test(static_cast<int>(i));
    }
    action = group_->OfRankZero(requested_early_exit_ ? SolverAction::STOP
                                                      : SolverAction::NONE);
  } else {
    while ((action = group_->OfRankZero(SolverAction::NONE)) == SolverAction::SNAPSHOT) {
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
  OutputMeans<Dtype> means(net);
  for (int i = 0; i < param_.test_iter(test_net_id); ++i) {
    for (auto request = GetRequestedAction(); request != SolverAction::NONE;
         request = GetRequestedAction()) {
      if (request == SolverAction::SNAPSHOT) {
        group_->OfRankZero(request);
        TrySnapshot();
      }
      if (request == SolverAction::STOP) requested_early_exit_ = true;
    }
    if (requested_early_exit_) {
      LOG(INFO) << "Test interrupted.";
      return;
    }
    Dtype loss;
    net.Forward(&loss);
    means.Add(loss);
  }
  LOG_IF(INFO, param_.test_compute_loss() && param_.test_iter(test_net_id) > 0)
      << "Test loss: " << means.loss();
  for (const string& line : means.Lines("Test")) LOG(INFO) << line;
  for (Callback* callback : callbacks_) callback->on_test(test_net_id, means.Named());
}

template <typename Dtype>
void Solver<Dtype>::CheckSnapshotWritePermissions() {
  if (!Caffe::root_solver()) return;
  CheckSnapshotPrefix(param_, SnapshotFilename(".tempfile"));
}

template <typename Dtype>
int Solver<Dtype>::snapshot_failures() const {
  return snapshots_->failures();
}

template <typename Dtype>
void Solver<Dtype>::Snapshot() {
  ProcessGroup::Join();
  CHECK(group_->TakesPart()) << "only the root solver writes snapshots";
  StopAtWeights(param_, iter_, *net_, snapshots_->LastGood());
  group_->AverageStatistics(net_.get());
  const bool in_test = position_ != nullptr;
  if (!in_test) position_ = CapturePosition(*net_, test_nets_, group_->processes());
  const bool hdf5 = param_.snapshot_format() == SolverParameter_SnapshotFormat_HDF5;
  // The state, which names the weights, comes last: where it is, both are complete.
  const std::exception_ptr error = group_->OnRankZero("write the snapshot", [&] {
    SnapshotSolverState(hdf5 ? SnapshotToHDF5() : SnapshotToBinaryProto());
  });
  if (!in_test) position_.reset();
  if (error) std::rethrow_exception(error);
  snapshots_->Written(SnapshotFilename(hdf5 ? ".solverstate.h5" : ".solverstate"));
}

template <typename Dtype>
void Solver<Dtype>::TrySnapshot() {
  try {
    Snapshot();
  } catch (const RuntimeFailure&) {
    throw;  // weights that are not finite, a process that is lost: training ends
  } catch (const std::exception& error) {
    snapshots_->Failed();
    LOG_IF(ERROR, Caffe::root_solver())
        << "Iteration " << iter_
        << ": no snapshot was written, training goes on: " << error.what() << "; "
        << snapshots_->Last();
  }
}

template <typename Dtype>
string Solver<Dtype>::SnapshotToBinaryProto() {
  const string filename = SnapshotFilename(".caffemodel");
  LOG(INFO) << "Snapshotting to binary proto file " << filename;
  NetParameter net_param;
  net_->ToProto(&net_param, param_.snapshot_diff());
  WriteProtoToBinaryFile(net_param, filename);
  return filename;
}

template <typename Dtype>
string Solver<Dtype>::SnapshotToHDF5() {
  const string filename = SnapshotFilename(".caffemodel.h5");
  LOG(INFO) << "Snapshotting to HDF5 file " << filename;
  net_->ToHDF5(filename, param_.snapshot_diff());
  return filename;
}

template <typename Dtype>
void Solver<Dtype>::Restore(const char* resume_file) {
  CHECK(resume_file) << "a solverstate file is needed";
  ProcessGroup::Join();
  const string state_file(resume_file);
  try {
    if (IsHdf5State(state_file)) {
      RestoreSolverStateFromHDF5(state_file);
    } else {
      RestoreSolverStateFromBinaryProto(state_file);
    }
  } catch (const FileError& error) {
    throw FileError(error.what() + AdviceOnSnapshotBefore(state_file));
  }
  position_.reset();
  group_->WeightsHaveChanged();
  snapshots_->Restored(state_file);
}

template <typename Dtype>
void Solver<Dtype>::ExportState(const string& model_filename, SolverState* state) const {
  *state = *position_;
  state->set_iter(iter_);
  state->set_learned_net(model_filename);
  state->set_learned_net_digest(FileDigest(model_filename));
  state->set_current_step(current_step_);
  state->set_solver_type(type());
  for (const Dtype loss : losses_) state->add_losses(loss);
  state->set_smoothed_loss(smoothed_loss_);
  if (ScalesLoss()) *state->mutable_loss_scale() = loss_scale_->state();
}

template <typename Dtype>
void Solver<Dtype>::ImportState(const string& state_file, const SolverState& state) {
  if (state.has_learned_net()) {
    net_->CopyTrainedLayersFrom(FindWeights(state_file, state));
  } else {
    LOG(WARNING) << "'" << state_file << "' names no weights; the net keeps those it has";
  }
  iter_ = state.iter();
  current_step_ = state.current_step();
  losses_.assign(state.losses().begin(), state.losses().end());
  smoothed_loss_ = state.smoothed_loss();
  loss_scale_ = state.has_loss_scale() ? std::make_unique<LossScale>(state.loss_scale())
                                       : std::make_unique<LossScale>();
  RestorePosition(state_file, state, *net_, test_nets_, *group_->processes());
}

template <typename Dtype>
void Solver<Dtype>::AverageGradients() {
  ProcessGroup::Join();
  group_->AverageGradients();
}

INSTANTIATE_CLASS(Solver);

}  // namespace caffe
