#include "caffe/solvers/training_group.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace caffe {
namespace {

/// Starts the random stream, and leaves in the log how to repeat the run.
void StartRandomStream(const SolverParameter& param) {
  if (param.random_seed() >= 0) {
    Caffe::set_random_seed(static_cast<unsigned int>(param.random_seed()));
    return;
  }
  // A stream that nobody has seeded has a 64-bit seed of the system's. One within the
  // range of random_seed may be the caller's choice and is kept.
  if (Caffe::random_seed() > std::numeric_limits<unsigned int>::max()) {
    Caffe::set_random_seed(std::random_device()());
  }
  const std::uint64_t drawn = caffe_rng()->counter();
  LOG_IF(INFO, Caffe::root_solver())
      << "Random seed: " << Caffe::random_seed()
      << (drawn == 0 ? std::string(" (random_seed of the solver repeats this run)")
                     : Str(" (", drawn, " numbers of its stream are used up)"));
}

}  // namespace

template <typename Dtype>
bool TrainingGroup<Dtype>::TakesPart() const {
  return Caffe::root_solver() || group_->size() > 1;
}

template <typename Dtype>
void TrainingGroup<Dtype>::SeedRandomStream(const SolverParameter& param) {
  StartRandomStream(param);
  std::uint64_t start[] = {caffe_rng()->seed(), caffe_rng()->counter()};
  group_->Broadcast(start, sizeof(start));
  *caffe_rng() = rng_t(start[0], Caffe::solver_rank());
  caffe_rng()->Seek(start[1]);
}

template <typename Dtype>
void TrainingGroup<Dtype>::MatchNets(Net<Dtype>* net) {
  if (group_->size() == 1) return;
  gradient_sum_ = std::make_unique<GradientSum<Dtype>>(net, group_);
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
  BroadcastWeights(net);
}

template <typename Dtype>
void TrainingGroup<Dtype>::MatchSteps(Net<Dtype>* net, int iter, int iters) {
  if (group_->size() == 1) return;
  int expected[] = {iter, iters};
  group_->Broadcast(expected, sizeof(expected));
  if (iter != expected[0] || iters != expected[1]) {
    throw ValueError(Str("solver: rank ", group_->rank(), " is to take ", iters,
                         " iterations after iteration ", iter, ", expected ", expected[1],
                         " after ", expected[0],
                         " like rank 0; use the same solver and the same snapshot on "
                         "all processes"));
  }
  // Once more after construction: weights may have been set since.
  if (!weights_match_) BroadcastWeights(net);
  weights_match_ = true;
}

template <typename Dtype>
void TrainingGroup<Dtype>::BroadcastWeights(Net<Dtype>* net) {
  for (Blob<Dtype>* param : net->learnable_params()) {
    group_->Broadcast(param->mutable_cpu_data(), param->count() * sizeof(Dtype));
  }
}

template <typename Dtype>
void TrainingGroup<Dtype>::AverageInNextBackward(Dtype* loss) {
  if (gradient_sum_) gradient_sum_->SumInNextBackward(loss);
}

template <typename Dtype>
void TrainingGroup<Dtype>::AverageGradients() {
  if (gradient_sum_) gradient_sum_->SumNow();
}

template <typename Dtype>
void TrainingGroup<Dtype>::AverageStatistics(Net<Dtype>* net) {
  if (group_->size() == 1) return;
  for (size_t i = 0; i < net->learnable_params().size(); ++i) {
    if (net->params_lr()[i] != 0) continue;
    Blob<Dtype>* param = net->learnable_params()[i];
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
typename TrainingGroup<Dtype>::Requests TrainingGroup<Dtype>::RequestsOfAll(
    SolverAction::Enum own) const {
  float counts[] = {own == SolverAction::SNAPSHOT ? 1.0f : 0,
                    own == SolverAction::STOP ? 1.0f : 0};
  group_->StartSum(counts, 2);
  group_->Wait();
  return {counts[0] > 0, counts[1] > 0};
}

template <typename Dtype>
Dtype TrainingGroup<Dtype>::Mean(Dtype value) const {
  group_->StartSum(&value, 1);
  group_->Wait();
  return value / group_->size();
}

template <typename Dtype>
bool TrainingGroup<Dtype>::Any(bool value) const {
  double count = value;
  group_->StartSum(&count, 1);
  group_->Wait();
  return count > 0;
}

template <typename Dtype>
SolverAction::Enum TrainingGroup<Dtype>::OfRankZero(SolverAction::Enum action) const {
  group_->Broadcast(&action, sizeof(action));
  return action;
}

template <typename Dtype>
std::exception_ptr TrainingGroup<Dtype>::OnRankZero(
    const char* what, const std::function<void()>& work) const {
  std::exception_ptr error;
  try {
    if (Caffe::root_solver()) work();
  } catch (...) {
    error = std::current_exception();
  }
  if (Any(error != nullptr) && !error) {
    const FileError failed(Str("rank 0 could not ", what, ", and says why"));
    error = std::make_exception_ptr(failed);
  }
  return error;
}

template <typename Dtype>
string TrainingGroup<Dtype>::First(string text) const {
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

INSTANTIATE_CLASS(TrainingGroup);

}  // namespace caffe
