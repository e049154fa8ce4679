#include "caffe/solvers/learning_rate.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "caffe/error.hpp"
#include "caffe/util/closest.hpp"

namespace caffe {
namespace {

const std::vector<std::string>& Policies() {
  static const std::vector<std::string> names = {"fixed",     "step", "exp",    "inv",
                                                 "multistep", "poly", "sigmoid"};
  return names;
}

double PolicyRate(const SolverParameter& param, int iter) {
  const std::string& policy = param.lr_policy();
  const double base = param.base_lr();
  const double gamma = param.gamma();
  if (policy == "fixed") return base;
  if (policy == "step" || policy == "multistep") {
    return base * std::pow(gamma, LearningRateSteps(param, iter));
  }
  if (policy == "exp") return base * std::pow(gamma, iter);
  if (policy == "inv") return base * std::pow(1 + gamma * iter, -double{param.power()});
  if (policy == "poly") {
    // Differs from BVLC, where the rate is NaN once iter is past max_iter.
    const double left = std::max(0.0, 1 - static_cast<double>(iter) / param.max_iter());
    return base * std::pow(left, double{param.power()});
  }
  return base / (1 + std::exp(-gamma * (static_cast<double>(iter) - param.stepsize())));
}

}  // namespace

void CheckLearningRatePolicy(const SolverParameter& param) {
  const std::string& policy = param.lr_policy();
  const auto& known = Policies();
  if (std::find(known.begin(), known.end(), policy) == known.end()) {
    throw ValueError(
        policy.empty()
            ? Str("solver: lr_policy is missing; 'fixed' keeps the rate at base_lr")
            : Str("solver: unknown lr_policy '", policy, "'", Suggestion(policy, known)));
  }
  for (int i = 1; i < param.stepvalue_size(); ++i) {
    if (param.stepvalue(i) >= param.stepvalue(i - 1)) continue;
    throw ValueError(Str("solver: stepvalue[", i, "] is ", param.stepvalue(i),
                         ", expected at least ", param.stepvalue(i - 1),
                         ", the one before it: the steps go up"));
  }
  const bool steps =
      policy == "step" || (policy == "multistep" && param.stepvalue_size() > 0);
  if (policy == "step" && param.stepsize() <= 0) {
    throw ValueError(Str("solver: stepsize is ", param.stepsize(),
                         ", expected at least 1 for lr_policy 'step'"));
  }
  if ((steps || policy == "exp") && (!param.has_gamma() || !(param.gamma() >= 0))) {
    throw ValueError(Str("solver: gamma is ",
                         param.has_gamma() ? Str(param.gamma()) : std::string("missing"),
                         ", expected a factor of at least 0 for lr_policy '", policy,
                         "'"));
  }
  // Below these the rate is infinite or no number at some iteration.
  if (policy == "inv" && param.gamma() < 0) {
    throw ValueError(Str("solver: gamma is ", param.gamma(),
                         ", expected at least 0 for lr_policy 'inv'"));
  }
  if (policy == "poly" && param.power() < 0) {
    throw ValueError(Str("solver: power is ", param.power(),
                         ", expected at least 0 for lr_policy 'poly'"));
  }
  if (policy == "poly" && param.max_iter() <= 0) {
    throw ValueError(Str("solver: max_iter is ", param.max_iter(),
                         ", expected at least 1 for lr_policy 'poly'"));
  }
}

int LearningRateSteps(const SolverParameter& param, int iter) {
  if (param.lr_policy() == "step") return iter / param.stepsize();
  if (param.lr_policy() != "multistep") return 0;
  int steps = 0;
  while (steps < param.stepvalue_size() && iter >= param.stepvalue(steps)) ++steps;
  return steps;
}

double LearningRate(const SolverParameter& param, int iter) {
  const int warmup = param.warmup_iter();
  if (iter >= warmup) return PolicyRate(param, iter);
  const double start = param.warmup_start_lr();
  const double end = PolicyRate(param, warmup);
  return start + (end - start) * iter / warmup;
}

}  // namespace caffe
