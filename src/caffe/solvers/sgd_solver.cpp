#include <cmath>
#include <string>
#include <vector>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/fused_update.hpp"
#include "caffe/solvers/gradient_norm.hpp"
#include "caffe/solvers/learning_rate.hpp"
#include "caffe/solvers/solver_state_file.hpp"

namespace caffe {

template <typename Dtype>
SGDSolver<Dtype>::SGDSolver(const SolverParameter& param) : Solver<Dtype>(param) {
  PreSolve();
}

template <typename Dtype>
SGDSolver<Dtype>::SGDSolver(const string& param_file) : Solver<Dtype>(param_file) {
  PreSolve();
}

template <typename Dtype>
void SGDSolver<Dtype>::PreSolve() {
  // A solver that is only used to run its nets may go without a policy.
  if (this->param_.has_lr_policy()) CheckLearningRatePolicy(this->param_);
  // Differs from BVLC, which trains at this rate in silence.
  LOG_IF(WARNING, this->param_.has_lr_policy() && !this->param_.has_base_lr() &&
                      Caffe::root_solver())
      << "solver: base_lr is missing, expected the learning rate; it is 0, and training "
         "leaves the weights as they are";
  const string& kind = this->param_.regularization_type();
  if (kind != "L2" && kind != "L1") {
    throw ValueError(
        Str("solver: unknown regularization_type '", kind, "', expected 'L2' or 'L1'"));
  }
  AddHistory();
  for (const Blob<Dtype>* param : this->net_->learnable_params()) {
    update_.push_back(std::make_shared<Blob<Dtype>>(param->shape()));
    temp_.push_back(std::make_shared<Blob<Dtype>>(param->shape()));
  }
}

template <typename Dtype>
void SGDSolver<Dtype>::AddHistory() {
  for (const Blob<Dtype>* param : this->net_->learnable_params()) {
    history_.push_back(std::make_shared<Blob<Dtype>>(param->shape()));
  }
}

template <typename Dtype>
Dtype SGDSolver<Dtype>::GetLearningRate() {
  const int steps = LearningRateSteps(this->param_, this->iter_);
  if (this->param_.lr_policy() == "multistep" && steps > this->current_step_) {
    LOG_IF(INFO, Caffe::root_solver())
        << "MultiStep Status: Iteration " << this->iter_ << ", step = " << steps;
  }
  this->current_step_ = steps;
  return static_cast<Dtype>(LearningRate(this->param_, this->iter_));
}

template <typename Dtype>
Blob<Dtype>* SGDSolver<Dtype>::Param(int param_id) const {
  return this->net_->learnable_params()[param_id];
}

template <typename Dtype>
Dtype SGDSolver<Dtype>::LocalRate(int param_id, Dtype rate) const {
  return rate * this->net_->params_lr()[param_id];
}

template <typename Dtype>
Dtype SGDSolver<Dtype>::LocalDecay(int param_id) const {
  return this->param_.weight_decay() * this->net_->params_weight_decay()[param_id];
}

template <typename Dtype>
vector<FusedParam<Dtype>> SGDSolver<Dtype>::FusedParams(Dtype rate, Dtype scale) const {
  vector<FusedParam<Dtype>> params;
  const bool l1 = this->param_.regularization_type() == "L1";
  for (int i = 0; i < static_cast<int>(this->net_->learnable_params().size()); ++i) {
    if (this->net_->params_lr()[i] == 0) continue;
    params.push_back({i, Param(i), LocalRate(i, rate), {scale, LocalDecay(i), l1}});
  }
  return params;
}

template <typename Dtype>
void SGDSolver<Dtype>::ApplyUpdate() {
  CheckLearningRatePolicy(this->param_);
  const Dtype rate = GetLearningRate();
  if (this->param_.display() && this->iter_ % this->param_.display() == 0) {
    LOG_IF(INFO, Caffe::root_solver())
        << "Iteration " << this->iter_ << ", lr = " << rate;
  }
  if (HasFusedUpdate()) {
    FusedUpdate(rate, ClipFactor() / this->param_.iter_size() * this->gradient_factor());
  } else {
    ClipGradients();
    const int params = static_cast<int>(this->net_->learnable_params().size());
    for (int i = 0; i < params; ++i) {
      Normalize(i);
      Regularize(i);
      ComputeUpdateValue(i, rate);
    }
    this->net_->Update();
  }
  ++this->iter_;
}

template <typename Dtype>
Dtype SGDSolver<Dtype>::ClipFactor() const {
  const Dtype limit = this->param_.clip_gradients();
  if (limit < 0) return 1;
  const double scaled = std::sqrt(SumOfSquaredGradients(*this->net_));
  const Dtype norm = static_cast<Dtype>(scaled * this->gradient_factor());
  if (!(norm > limit)) return 1;
  const Dtype factor = limit / norm;
  LOG_IF(INFO, Caffe::root_solver())
      << "Gradient clipping: scaling down gradients (L2 norm " << norm << " > " << limit
      << ") by scale factor " << factor;
  return factor;
}

template <typename Dtype>
void SGDSolver<Dtype>::ClipGradients() {
  const Dtype factor = ClipFactor();
  if (factor == Dtype(1)) return;
  for (Blob<Dtype>* param : this->net_->learnable_params()) param->scale_diff(factor);
}

template <typename Dtype>
void SGDSolver<Dtype>::Normalize(int param_id) {
  if (this->param_.iter_size() == 1) return;
  Param(param_id)->scale_diff(Dtype(1) / this->param_.iter_size());
}

template <typename Dtype>
void SGDSolver<Dtype>::Regularize(int param_id) {
  const Dtype decay = LocalDecay(param_id);
  if (decay == Dtype(0)) return;
  const bool l1 = this->param_.regularization_type() == "L1";
  Blob<Dtype>* param = Param(param_id);
  const Dtype* data = param->cpu_data();
  Dtype* diff = param->mutable_cpu_diff();
  for (int i = 0; i < param->count(); ++i) {
    diff[i] += decay * (l1 ? Dtype(caffe_sign(data[i])) : data[i]);
  }
}

template <typename Dtype>
void SGDSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  ApplyRule(Param(param_id), MomentumRule<Dtype>{history_[param_id]->mutable_cpu_data(),
                                                 Dtype(this->param_.momentum()),
                                                 LocalRate(param_id, rate)});
}

template <typename Dtype>
bool SGDSolver<Dtype>::HasFusedUpdate() const {
  return IsExactly<SGDSolver<Dtype>>(*this);
}

template <typename Dtype>
void SGDSolver<Dtype>::FusedUpdate(Dtype rate, Dtype scale) {
  ApplyFused(FusedParams(rate, scale),
             [this](const FusedParam<Dtype>& param, UpdateOn on) {
               return MomentumRule<Dtype>{UpdatedArray(this->history_[param.id], on),
                                          Dtype(this->param_.momentum()), param.rate};
             });
}

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverState(const string& model_filename) {
  if (this->param_.snapshot_format() == SolverParameter_SnapshotFormat_HDF5) {
    SnapshotSolverStateToHDF5(model_filename);
  } else {
    SnapshotSolverStateToBinaryProto(model_filename);
  }
}

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverStateToBinaryProto(const string& model_filename) {
  const string filename = this->SnapshotFilename(".solverstate");
  LOG(INFO) << "Snapshotting solver state to binary proto file " << filename;
  SolverStateFile<Dtype> file;
  this->ExportState(model_filename, &file.state);
  file.history = history_;
  file.WriteBinary(filename);
}

template <typename Dtype>
void SGDSolver<Dtype>::SnapshotSolverStateToHDF5(const string& model_filename) {
  const string filename = this->SnapshotFilename(".solverstate.h5");
  LOG(INFO) << "Snapshotting solver state to HDF5 file " << filename;
  SolverStateFile<Dtype> file;
  this->ExportState(model_filename, &file.state);
  file.history = history_;
  file.WriteHdf5(filename);
}

template <typename Dtype>
void SGDSolver<Dtype>::RestoreSolverStateFromBinaryProto(const string& state_file) {
  TakeState(state_file,
            SolverStateFile<Dtype>::ReadBinary(state_file, this->type(), history_));
}

template <typename Dtype>
void SGDSolver<Dtype>::RestoreSolverStateFromHDF5(const string& state_file) {
  TakeState(state_file,
            SolverStateFile<Dtype>::ReadHdf5(state_file, this->type(), history_));
}

template <typename Dtype>
void SGDSolver<Dtype>::TakeState(const string& state_file,
                                 const SolverStateFile<Dtype>& file) {
  this->ImportState(state_file, file.state);
  LOG(INFO) << "SGDSolver: restoring history";
  for (size_t i = 0; i < history_.size(); ++i) history_[i]->CopyFrom(*file.history[i]);
}

INSTANTIATE_CLASS(SGDSolver);
REGISTER_SOLVER_CLASS(SGD);

}  // namespace caffe
