#include <cmath>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/fused_update.hpp"

namespace caffe {
template <typename Dtype>
void AdaGradSolver<Dtype>::constructor_sanity_check() {
  if (this->param_.momentum() == 0) return;
  throw ValueError(Str("solver: momentum is ", this->param_.momentum(),
                       ", expected 0 for type 'AdaGrad', which has none"));
}

template <typename Dtype>
void AdaGradSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  ApplyRule(
      this->Param(param_id),
      AdaGradRule<Dtype>{this->history_[param_id]->mutable_cpu_data(),
                         Dtype(this->param_.delta()), this->LocalRate(param_id, rate)});
}

template <typename Dtype>
bool AdaGradSolver<Dtype>::HasFusedUpdate() const {
  return IsExactly<AdaGradSolver<Dtype>>(*this);
}

template <typename Dtype>
void AdaGradSolver<Dtype>::FusedUpdate(Dtype rate, Dtype scale) {
  ApplyFused(this->FusedParams(rate, scale),
             [this](const FusedParam<Dtype>& param, UpdateOn on) {
               return AdaGradRule<Dtype>{UpdatedArray(this->history_[param.id], on),
                                         Dtype(this->param_.delta()), param.rate};
             });
}

INSTANTIATE_CLASS(AdaGradSolver);
REGISTER_SOLVER_CLASS(AdaGrad);

}  // namespace caffe
