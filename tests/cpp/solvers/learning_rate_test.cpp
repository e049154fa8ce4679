#include "caffe/solvers/learning_rate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "solvers/solver_fixture.hpp"
#include "tolerance.hpp"

namespace caffe {
namespace {

using test::IsClose;
using test::MessageOf;
using test::OpKind;
using test::SolverFromText;
using test::ToleranceOf;
using ::testing::HasSubstr;

// The definitions of BVLC's caffe.proto in plain double arithmetic on decimal
// parameters; those of the solver are float.
struct Policy {
  std::string text;
  std::function<double(int iter)> rate;
};

const std::vector<Policy>& Policies() {
  static const std::vector<Policy> policies = {
      {"lr_policy: 'fixed' base_lr: 0.5", [](int) { return 0.5; }},
      {"lr_policy: 'step' base_lr: 0.5 gamma: 0.25 stepsize: 10",
       [](int iter) {
         double rate = 0.5;
         for (int i = 10; i <= iter; i += 10) rate *= 0.25;
         return rate;
       }},
      {"lr_policy: 'exp' base_lr: 0.5 gamma: 0.875",
       [](int iter) {
         double rate = 0.5;
         for (int i = 0; i < iter; ++i) rate *= 0.875;
         return rate;
       }},
      {"lr_policy: 'inv' base_lr: 0.5 gamma: 0.125 power: 2",
       [](int iter) { return 0.5 / ((1 + 0.125 * iter) * (1 + 0.125 * iter)); }},
      {"lr_policy: 'multistep' base_lr: 0.5 gamma: 0.25 stepvalue: 5 stepvalue: 12 "
       "stepvalue: 12 stepvalue: 30",
       [](int iter) {
         return iter < 5 ? 0.5 : iter < 12 ? 0.125 : iter < 30 ? 0.125 / 16 : 0.125 / 64;
       }},
      {"lr_policy: 'poly' base_lr: 0.5 power: 3 max_iter: 40",
       [](int iter) {
         const double left = iter < 40 ? 1 - iter / 40.0 : 0;
         return 0.5 * left * left * left;
       }},
      {"lr_policy: 'sigmoid' base_lr: 0.5 gamma: -0.25 stepsize: 20",
       [](int iter) { return 0.5 / (1 + std::exp(0.25 * (iter - 20))); }},
  };
  return policies;
}

void ExpectRate(double got, double want, const std::string& what) {
  EXPECT_TRUE(IsClose(got, want, want, ToleranceOf<double>(OpKind::kTranscendental)))
      << what << ": " << got << ", expected " << want;
}

TEST(LearningRateTest, PoliciesFollowTheirDefinition) {
  for (const Policy& policy : Policies()) {
    const SolverParameter param = SolverFromText(policy.text);
    CheckLearningRatePolicy(param);
    for (int iter = 0; iter < 50; ++iter) {
      ExpectRate(LearningRate(param, iter), policy.rate(iter),
                 Str(policy.text, ", iteration ", iter));
    }
  }
}

TEST(LearningRateTest, WarmUpRisesLinearlyToThePolicy) {
  for (const Policy& policy : Policies()) {
    const SolverParameter param =
        SolverFromText(policy.text + " warmup_iter: 8 warmup_start_lr: 0.0625");
    for (int iter = 0; iter < 50; ++iter) {
      const double end = policy.rate(8);
      const double want =
          iter < 8 ? 0.0625 * (8 - iter) / 8 + end * iter / 8 : policy.rate(iter);
      ExpectRate(LearningRate(param, iter), want,
                 Str(policy.text, " with warm-up, iteration ", iter));
    }
  }
}

TEST(LearningRateTest, PolyEndsAtZero) {
  const SolverParameter param =
      SolverFromText("lr_policy: 'poly' base_lr: 1 power: 0.5 max_iter: 10");
  for (const int iter : {10, 11, 1000000}) EXPECT_EQ(LearningRate(param, iter), 0);
}

TEST(LearningRateTest, BadParametersAreNamed) {
  const auto message = [](const std::string& text) {
    return MessageOf<ValueError>([&] { CheckLearningRatePolicy(SolverFromText(text)); });
  };
  EXPECT_THAT(message("base_lr: 1"), HasSubstr("lr_policy is missing"));
  EXPECT_THAT(message("lr_policy: 'multi_step'"), HasSubstr("'multistep'"));
  EXPECT_THAT(message("lr_policy: 'step' gamma: 0.1"), HasSubstr("stepsize is 0"));
  EXPECT_THAT(message("lr_policy: 'step' stepsize: -3"), HasSubstr("stepsize is -3"));
  EXPECT_THAT(message("lr_policy: 'step' stepsize: 3"), HasSubstr("gamma is missing"));
  EXPECT_THAT(message("lr_policy: 'exp' gamma: -1"), HasSubstr("gamma is -1"));
  EXPECT_THAT(message("lr_policy: 'exp' gamma: nan"), HasSubstr("gamma is nan"));
  EXPECT_THAT(message("lr_policy: 'multistep' stepvalue: 3"),
              HasSubstr("gamma is missing"));
  EXPECT_THAT(message("lr_policy: 'poly'"), HasSubstr("max_iter is 0"));
  EXPECT_THAT(message("lr_policy: 'inv' gamma: -0.1"), HasSubstr("gamma is -0.1"));
  EXPECT_THAT(message("lr_policy: 'poly' max_iter: 9 power: -1"),
              HasSubstr("power is -1"));
  EXPECT_THAT(message("lr_policy: 'multistep' gamma: 0.1 stepvalue: 9 stepvalue: 3"),
              HasSubstr("stepvalue[1] is 3, expected at least 9"));
  EXPECT_EQ(message("lr_policy: 'multistep'"), "");
}

}  // namespace
}  // namespace caffe
