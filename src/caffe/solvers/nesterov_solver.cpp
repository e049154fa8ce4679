#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/fused_update.hpp"

namespace caffe {
template <typename Dtype>
void NesterovSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  ApplyRule(this->Param(param_id),
            NesterovRule<Dtype>{this->history_[param_id]->mutable_cpu_data(),
                                Dtype(this->param_.momentum()),
                                this->LocalRate(param_id, rate)});
}

template <typename Dtype>
bool NesterovSolver<Dtype>::HasFusedUpdate() const {
  return IsExactly<NesterovSolver<Dtype>>(*this);
}

template <typename Dtype>
void NesterovSolver<Dtype>::FusedUpdate(Dtype rate, Dtype scale) {
  ApplyFused(this->FusedParams(rate, scale),
             [this](const FusedParam<Dtype>& param, UpdateOn on) {
               return NesterovRule<Dtype>{UpdatedArray(this->history_[param.id], on),
                                          Dtype(this->param_.momentum()), param.rate};
             });
}

INSTANTIATE_CLASS(NesterovSolver);
REGISTER_SOLVER_CLASS(Nesterov);

}  // namespace caffe
