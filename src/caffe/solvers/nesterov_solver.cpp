#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/fused_update.hpp"

namespace caffe {
namespace {

template <typename Dtype>
struct NesterovRule {
  Dtype* velocity;
  Dtype momentum;
  Dtype rate;
  Dtype operator()(int i, Dtype g) const {
    const Dtype before = velocity[i];
    const Dtype after = momentum * before + rate * g;
    velocity[i] = after;
    return (1 + momentum) * after - momentum * before;
  }
};

}  // namespace

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
void NesterovSolver<Dtype>::FusedUpdate(int param_id, Dtype rate, Dtype scale) {
  ApplyFused(this->Param(param_id), this->Terms(param_id, scale),
             NesterovRule<Dtype>{this->history_[param_id]->mutable_cpu_data(),
                                 Dtype(this->param_.momentum()),
                                 this->LocalRate(param_id, rate)});
}

INSTANTIATE_CLASS(NesterovSolver);
REGISTER_SOLVER_CLASS(Nesterov);

}  // namespace caffe
