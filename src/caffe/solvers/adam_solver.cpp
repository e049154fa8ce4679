#include <cmath>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/fused_update.hpp"

namespace caffe {
namespace {

// The history holds all first moments, then all second moments.
template <typename Dtype>
AdamRule<Dtype> MakeRule(const vector<shared_ptr<Blob<Dtype>>>& history, int param_id,
                         UpdateOn on, const SolverParameter& param, int iter,
                         Dtype local_rate) {
  const double beta1 = param.momentum();
  const double beta2 = param.momentum2();
  const double correction =
      std::sqrt(1 - std::pow(beta2, iter + 1)) / (1 - std::pow(beta1, iter + 1));
  return {UpdatedArray(history[param_id], on),
          UpdatedArray(history[param_id + history.size() / 2], on),
          static_cast<Dtype>(beta1),
          static_cast<Dtype>(beta2),
          static_cast<Dtype>(param.delta()),
          static_cast<Dtype>(local_rate * correction)};
}

}  // namespace

template <typename Dtype>
void AdamSolver<Dtype>::AdamPreSolve() {
  this->AddHistory();
}

template <typename Dtype>
void AdamSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  ApplyRule(this->Param(param_id),
            MakeRule(this->history_, param_id, UpdateOn::kHost, this->param_, this->iter_,
                     this->LocalRate(param_id, rate)));
}

template <typename Dtype>
bool AdamSolver<Dtype>::HasFusedUpdate() const {
  return IsExactly<AdamSolver<Dtype>>(*this);
}

template <typename Dtype>
void AdamSolver<Dtype>::FusedUpdate(Dtype rate, Dtype scale) {
  ApplyFused(this->FusedParams(rate, scale), [this](const FusedParam<Dtype>& param,
                                                    UpdateOn on) {
    return MakeRule(this->history_, param.id, on, this->param_, this->iter_, param.rate);
  });
}

INSTANTIATE_CLASS(AdamSolver);
REGISTER_SOLVER_CLASS(Adam);

}  // namespace caffe
