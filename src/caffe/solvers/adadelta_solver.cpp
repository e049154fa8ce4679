#include <cmath>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/fused_update.hpp"

namespace caffe {
namespace {

// The history holds all mean squares of gradients, then all of updates.
template <typename Dtype>
AdaDeltaRule<Dtype> MakeRule(const vector<shared_ptr<Blob<Dtype>>>& history, int param_id,
                             UpdateOn on, const SolverParameter& param,
                             Dtype local_rate) {
  return {UpdatedArray(history[param_id], on),
          UpdatedArray(history[param_id + history.size() / 2], on),
          Dtype(param.momentum()), Dtype(param.delta()), local_rate};
}

}  // namespace

template <typename Dtype>
void AdaDeltaSolver<Dtype>::AdaDeltaPreSolve() {
  this->AddHistory();
}

template <typename Dtype>
void AdaDeltaSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  ApplyRule(this->Param(param_id),
            MakeRule(this->history_, param_id, UpdateOn::kHost, this->param_,
                     this->LocalRate(param_id, rate)));
}

template <typename Dtype>
bool AdaDeltaSolver<Dtype>::HasFusedUpdate() const {
  return IsExactly<AdaDeltaSolver<Dtype>>(*this);
}

template <typename Dtype>
void AdaDeltaSolver<Dtype>::FusedUpdate(Dtype rate, Dtype scale) {
  ApplyFused(this->FusedParams(rate, scale),
             [this](const FusedParam<Dtype>& param, UpdateOn on) {
               return MakeRule(this->history_, param.id, on, this->param_, param.rate);
             });
}

INSTANTIATE_CLASS(AdaDeltaSolver);
REGISTER_SOLVER_CLASS(AdaDelta);

}  // namespace caffe
