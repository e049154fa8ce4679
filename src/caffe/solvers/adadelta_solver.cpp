#include <cmath>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solvers/fused_update.hpp"

namespace caffe {
namespace {

template <typename Dtype>
struct AdaDeltaRule {
  Dtype* gradient_square;
  Dtype* update_square;
  Dtype decay;
  Dtype delta;
  Dtype rate;
  Dtype operator()(int i, Dtype g) const {
    const Dtype mean = decay * gradient_square[i] + (1 - decay) * g * g;
    const Dtype update = g * std::sqrt((update_square[i] + delta) / (mean + delta));
    gradient_square[i] = mean;
    update_square[i] = decay * update_square[i] + (1 - decay) * update * update;
    return rate * update;
  }
};

// The history holds all mean squares of gradients, then all of updates.
template <typename Dtype>
AdaDeltaRule<Dtype> MakeRule(const vector<shared_ptr<Blob<Dtype>>>& history, int param_id,
                             const SolverParameter& param, Dtype local_rate) {
  return {history[param_id]->mutable_cpu_data(),
          history[param_id + history.size() / 2]->mutable_cpu_data(),
          Dtype(param.momentum()), Dtype(param.delta()), local_rate};
}

}  // namespace

template <typename Dtype>
void AdaDeltaSolver<Dtype>::AdaDeltaPreSolve() {
  this->AddHistory();
}

template <typename Dtype>
void AdaDeltaSolver<Dtype>::ComputeUpdateValue(int param_id, Dtype rate) {
  ApplyRule(this->Param(param_id), MakeRule(this->history_, param_id, this->param_,
                                            this->LocalRate(param_id, rate)));
}

template <typename Dtype>
bool AdaDeltaSolver<Dtype>::HasFusedUpdate() const {
  return IsExactly<AdaDeltaSolver<Dtype>>(*this);
}

template <typename Dtype>
void AdaDeltaSolver<Dtype>::FusedUpdate(int param_id, Dtype rate, Dtype scale) {
  ApplyFused(
      this->Param(param_id), this->Terms(param_id, scale),
      MakeRule(this->history_, param_id, this->param_, this->LocalRate(param_id, rate)));
}

INSTANTIATE_CLASS(AdaDeltaSolver);
REGISTER_SOLVER_CLASS(AdaDelta);

}  // namespace caffe
