#include <cmath>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/fused_update.hpp"

namespace caffe {
namespace {

template <typename Dtype>
struct AdamRule {
  Dtype* mean;
  Dtype* mean_square;
  Dtype beta1;
  Dtype beta2;
  Dtype delta;
  Dtype rate;  // with the correction for the moments' start at 0
  Dtype operator()(int i, Dtype g) const {
    const Dtype m = beta1 * mean[i] + (1 - beta1) * g;
    const Dtype v = beta2 * mean_square[i] + (1 - beta2) * g * g;
    mean[i] = m;
    mean_square[i] = v;
    return rate * m / (std::sqrt(v) + delta);
  }
};

// The history holds all first moments, then all second moments.
template <typename Dtype>
AdamRule<Dtype> MakeRule(const vector<shared_ptr<Blob<Dtype>>>& history, int param_id,
                         const SolverParameter& param, int iter, Dtype local_rate) {
  const double beta1 = param.momentum();
  const double beta2 = param.momentum2();
  const double correction =
      std::sqrt(1 - std::pow(beta2, iter + 1)) / (1 - std::pow(beta1, iter + 1));
  return {history[param_id]->mutable_cpu_data(),
          history[param_id + history.size() / 2]->mutable_cpu_data(),
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
            MakeRule(this->history_, param_id, this->param_, this->iter_,
                     this->LocalRate(param_id, rate)));
}

template <typename Dtype>
bool AdamSolver<Dtype>::HasFusedUpdate() const {
  return IsExactly<AdamSolver<Dtype>>(*this);
}

template <typename Dtype>
void AdamSolver<Dtype>::FusedUpdate(int param_id, Dtype rate, Dtype scale) {
  ApplyFused(this->Param(param_id), this->Terms(param_id, scale),
             MakeRule(this->history_, param_id, this->param_, this->iter_,
                      this->LocalRate(param_id, rate)));
}

INSTANTIATE_CLASS(AdamSolver);
REGISTER_SOLVER_CLASS(Adam);

}  // namespace caffe
