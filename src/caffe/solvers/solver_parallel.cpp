#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/parallel/gradient_sum.hpp"
#include "caffe/solver.hpp"

// What the solvers of several processes do together; see ProcessGroup.

namespace caffe {

template <typename Dtype>
bool Solver<Dtype>::TakesPart() const {
  return Caffe::root_solver() || group_->size() > 1;
}

template <typename Dtype>
void Solver<Dtype>::MatchNets() {
  if (group_->size() == 1) return;
  gradient_sum_ = std::make_shared<GradientSum<Dtype>>(net_.get(), group_);
  const string order = gradient_sum_->Order();
  std::uint64_t size = order.size();
  group_->Broadcast(&size, sizeof(size));
  string expected = order;
  expected.resize(size);
  group_->Broadcast(expected.data(), size);
  if (order != expected) {
    throw ValueError(Str("solver: the learned parameters of rank ", group_->rank(),
                         " have the shapes ", order, "expected those of rank 0, ",
                         expected, "in this order; use the same net on all processes"));
  }
  BroadcastWeights();
}

template <typename Dtype>
void Solver<Dtype>::MatchSteps(int iters) {
  if (group_->size() == 1) return;
  int expected[] = {iter_, iters};
  group_->Broadcast(expected, sizeof(expected));
  if (iter_ != expected[0] || iters != expected[1]) {
    throw ValueError(Str("solver: rank ", group_->rank(), " is to take ", iters,
                         " iterations after iteration ", iter_, ", expected ",
                         expected[1], " after ", expected[0],
                         " like rank 0; use the same solver and the same snapshot on "
                         "all processes"));
  }
  // Once more after construction: weights may have been set since.
  if (!weights_match_) BroadcastWeights();
  weights_match_ = true;
}

template <typename Dtype>
void Solver<Dtype>::BroadcastWeights() {
  for (Blob<Dtype>* param : net_->learnable_params()) {
    group_->Broadcast(param->mutable_cpu_data(), param->count() * sizeof(Dtype));
  }
}

template <typename Dtype>
void Solver<Dtype>::AverageGradients() {
  ProcessGroup::Join();
  if (gradient_sum_) gradient_sum_->SumNow();
}

template <typename Dtype>
void Solver<Dtype>::AverageStatistics() {
  if (group_->size() == 1) return;
  for (size_t i = 0; i < net_->learnable_params().size(); ++i) {
    if (net_->params_lr()[i] != 0) continue;
    Blob<Dtype>* param = net_->learnable_params()[i];
    Dtype* values = param->mutable_cpu_data();
    // In double: weights that are merely frozen keep their bits.
    vector<double> sums(values, values + param->count());
    group_->StartSum(sums.data(), param->count());
    group_->Wait();
    for (int j = 0; j < param->count(); ++j) {
      values[j] = static_cast<Dtype>(sums[j] / group_->size());
    }
  }
}

template <typename Dtype>
Dtype Solver<Dtype>::MeanOfGroup(Dtype value) const {
  group_->StartSum(&value, 1);
  group_->Wait();
  return value / group_->size();
}

template <typename Dtype>
bool Solver<Dtype>::AnyOfGroup(bool value) const {
  double count = value;
  group_->StartSum(&count, 1);
  group_->Wait();
  return count > 0;
}

template <typename Dtype>
SolverAction::Enum Solver<Dtype>::OfRankZero(SolverAction::Enum action) const {
  group_->Broadcast(&action, sizeof(action));
  return action;
}

template <typename Dtype>
string Solver<Dtype>::FirstOfGroup(string text) const {
  vector<double> has(group_->size(), 0);
  has[group_->rank()] = !text.empty();
  group_->StartSum(has.data(), group_->size());
  group_->Wait();
  const auto first = std::find(has.begin(), has.end(), 1);
  if (first == has.end()) return "";
  const int rank = static_cast<int>(first - has.begin());
  std::uint64_t size = text.size();
  group_->Broadcast(&size, sizeof(size), rank);
  text.resize(size);
  group_->Broadcast(text.data(), size, rank);
  return text;
}

#define INSTANTIATE_SOLVER_PARALLEL(Dtype)                   \
  template bool Solver<Dtype>::TakesPart() const;            \
  template void Solver<Dtype>::MatchNets();                  \
  template void Solver<Dtype>::MatchSteps(int);              \
  template void Solver<Dtype>::AverageGradients();           \
  template void Solver<Dtype>::AverageStatistics();          \
  template Dtype Solver<Dtype>::MeanOfGroup(Dtype) const;    \
  template bool Solver<Dtype>::AnyOfGroup(bool) const;       \
  template string Solver<Dtype>::FirstOfGroup(string) const; \
  template SolverAction::Enum Solver<Dtype>::OfRankZero(SolverAction::Enum) const
INSTANTIATE_SOLVER_PARALLEL(float);
INSTANTIATE_SOLVER_PARALLEL(double);

}  // namespace caffe
