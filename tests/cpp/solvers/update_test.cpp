#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <string>
#include <vector>

#include "solvers/solver_fixture.hpp"
#include "tolerance.hpp"

// The update rules against float64 loops over the definitions in BVLC Caffe.

namespace caffe {
namespace {

using test::ExpectClose;
using test::MessageOf;
using test::NewSolver;
using test::OpKind;
using test::ScriptedGradient;
using test::ScriptedWeight;
using test::ToleranceOf;
using ::testing::HasSubstr;

constexpr int kScript = 3;
constexpr int kIterations = 12;
constexpr double kGradientScale = 4;

// Two parameters: one large enough for a parallel update, one small.
struct Case {
  std::string type = "SGD";
  double rate = 0.0625;
  double momentum = 0;
  double decay = 0;
  bool l1 = false;
  double clip = -1;
  int iter_size = 1;
  double delta = 0.0078125;
  double momentum2 = 0.75;
  double rms_decay = 0.875;
  std::vector<double> lr_mult = {1, 1};
  std::vector<double> decay_mult = {1, 1};
  std::vector<int> count = {40000, 7};

  std::string Text() const {
    const std::string net =
        Str("net_param { name: 'n' layer { name: 'l' type: 'ScriptedLoss' top: 'loss' "
            "power_param { shift: ",
            kScript, " scale: ", kGradientScale,
            " } "
            "param { lr_mult: ",
            lr_mult[0], " decay_mult: ", decay_mult[0],
            " } "
            "param { lr_mult: ",
            lr_mult[1], " decay_mult: ", decay_mult[1],
            " } "
            "dummy_data_param { shape { dim: 8 dim: ",
            count[0] / 8, " } shape { dim: ", count[1], " } } } } ");
    return Str(net, "type: '", type, "' lr_policy: 'fixed' base_lr: ", rate,
               " momentum: ", momentum, " weight_decay: ", decay,
               l1 ? " regularization_type: 'L1'" : "", " clip_gradients: ", clip,
               " iter_size: ", iter_size, " delta: ", delta, " momentum2: ", momentum2,
               " rms_decay: ", rms_decay, " snapshot_after_train: false random_seed: 1");
  }
};

// Caffe's definitions, one parameter element at a time.
std::vector<double> Reference(const Case& c) {
  std::vector<std::vector<double>> w(2), h(2), h2(2);
  for (int p = 0; p < 2; ++p) {
    for (int i = 0; i < c.count[p]; ++i) w[p].push_back(ScriptedWeight(kScript, p, i));
    h[p].assign(c.count[p], 0);
    h2[p].assign(c.count[p], 0);
  }
  for (int iter = 0; iter < kIterations; ++iter) {
    std::vector<std::vector<double>> g(2);
    double norm = 0;
    for (int p = 0; p < 2; ++p) {
      for (int i = 0; i < c.count[p]; ++i) {
        double sum = 0;
        for (int k = 0; k < c.iter_size; ++k) {
          sum += kGradientScale * ScriptedGradient(kScript, iter * c.iter_size + k, p, i);
        }
        g[p].push_back(c.lr_mult[p] == 0 ? 0 : sum);
        norm += g[p][i] * g[p][i];
      }
    }
    norm = std::sqrt(norm);
    const double clip = c.clip >= 0 && norm > c.clip ? c.clip / norm : 1;
    for (int p = 0; p < 2; ++p) {
      if (c.lr_mult[p] == 0) continue;
      for (int i = 0; i < c.count[p]; ++i) {
        double d = g[p][i] * clip / c.iter_size;
        const double sign = w[p][i] > 0 ? 1 : w[p][i] < 0 ? -1 : 0;
        d += c.decay * c.decay_mult[p] * (c.l1 ? sign : w[p][i]);
        const double rate = c.rate * c.lr_mult[p];
        double step = 0;
        if (c.type == "SGD") {
          step = h[p][i] = c.momentum * h[p][i] + rate * d;
        } else if (c.type == "Nesterov") {
          const double before = h[p][i];
          h[p][i] = c.momentum * h[p][i] + rate * d;
          step = (1 + c.momentum) * h[p][i] - c.momentum * before;
        } else if (c.type == "AdaGrad") {
          h[p][i] += d * d;
          step = rate * d / (std::sqrt(h[p][i]) + c.delta);
        } else if (c.type == "RMSProp") {
          h[p][i] = c.rms_decay * h[p][i] + (1 - c.rms_decay) * d * d;
          step = rate * d / (std::sqrt(h[p][i]) + c.delta);
        } else if (c.type == "AdaDelta") {
          h[p][i] = c.momentum * h[p][i] + (1 - c.momentum) * d * d;
          const double u = d * std::sqrt((h2[p][i] + c.delta) / (h[p][i] + c.delta));
          h2[p][i] = c.momentum * h2[p][i] + (1 - c.momentum) * u * u;
          step = rate * u;
        } else if (c.type == "Adam") {
          const int t = iter + 1;
          h[p][i] = c.momentum * h[p][i] + (1 - c.momentum) * d;
          h2[p][i] = c.momentum2 * h2[p][i] + (1 - c.momentum2) * d * d;
          step = rate * std::sqrt(1 - std::pow(c.momentum2, t)) /
                 (1 - std::pow(c.momentum, t)) * h[p][i] /
                 (std::sqrt(h2[p][i]) + c.delta);
        }
        w[p][i] -= step;
      }
    }
  }
  w[0].insert(w[0].end(), w[1].begin(), w[1].end());
  return w[0];
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* type : {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}) {
    Case base;
    base.type = type;
    const std::string name = type;
    if (name != "AdaGrad" && name != "RMSProp") base.momentum = 0.875;
    cases.push_back(base);
    Case all = base;
    all.decay = 0.03125;
    all.iter_size = 3;
    all.lr_mult = {1, 2};
    all.decay_mult = {1, 0};
    cases.push_back(all);
    all.l1 = true;
    all.count[0] = 800;  // few weights come near 0, where rounding picks the sign
    all.clip = 50;
    all.decay_mult = {0.5, 3};
    cases.push_back(all);
    all.lr_mult = {0, 1};
    cases.push_back(all);
  }
  Case loose;
  loose.clip = 1e6;
  cases.push_back(loose);
  Case plain;
  plain.clip = 0;  // every gradient is scaled to nothing
  cases.push_back(plain);
  return cases;
}

template <typename Dtype>
class UpdateTest : public ::testing::Test {
 protected:
  // Steps divided by the root of a small mean square magnify rounding as a norm does.
  static void ExpectMatches(Solver<Dtype>* solver, const Case& c,
                            const std::string& what) {
    const std::vector<Dtype> got = test::Weights(solver);
    ExpectClose({got.begin(), got.end()}, Reference(c),
                ToleranceOf<Dtype>(OpKind::kNormalization, kIterations * c.iter_size),
                what);
  }
};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(UpdateTest, Types);

TYPED_TEST(UpdateTest, MatchesDefinition) {
  for (const Case& c : Cases()) {
    const test::LogCapture quiet;
    const auto solver = NewSolver<TypeParam>(c.Text());
    ASSERT_EQ(c.type, solver->type());
    solver->Step(kIterations);
    EXPECT_EQ(solver->iter(), kIterations);
    this->ExpectMatches(solver.get(), c, c.Text());
  }
}

// A user's solver, derived as one would for BVLC Caffe: it calls its base's steps.
template <typename Dtype>
class DerivedSolver : public SGDSolver<Dtype> {
 public:
  explicit DerivedSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {}
  int calls = 0;

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override {
    ++calls;
    SGDSolver<Dtype>::ComputeUpdateValue(param_id, rate);
  }
};

TYPED_TEST(UpdateTest, DerivedClassHasItsStepsCalled) {
  for (Case c : Cases()) {
    if (c.type != "SGD") continue;
    const test::LogCapture log;
    DerivedSolver<TypeParam> solver(test::SolverFromText(c.Text()));
    solver.Step(kIterations);
    EXPECT_EQ(solver.calls, 2 * kIterations);
    if (c.lr_mult[0] == 0) continue;  // like BVLC's, a derived solver decays it in vain
    this->ExpectMatches(&solver, c, "derived: " + c.Text());
    const double largest =
        kGradientScale * c.iter_size * std::sqrt(c.count[0] + c.count[1]);
    const bool may_clip = c.clip >= 0 && c.clip <= largest;
    EXPECT_TRUE(may_clip || log.Find("Gradient clipping").empty());
  }
}

TYPED_TEST(UpdateTest, DiffHoldsTheStepTaken) {
  Case c;
  c.momentum = 0.5;
  c.decay = 0.25;
  const test::LogCapture quiet;
  const auto solver = NewSolver<TypeParam>(c.Text());
  solver->Step(2);
  const std::vector<TypeParam> before = test::Weights(solver.get());
  solver->Step(1);
  const std::vector<TypeParam> after = test::Weights(solver.get());
  size_t at = 0;
  for (const Blob<TypeParam>* blob : solver->net()->learnable_params()) {
    for (int i = 0; i < blob->count(); ++i, ++at) {
      ASSERT_EQ(after[at], before[at] - blob->cpu_diff()[i]);
    }
  }
}

TYPED_TEST(UpdateTest, FrozenParameterKeepsItsBits) {
  Case c;
  c.momentum = 0.5;
  c.decay = 0.25;
  c.lr_mult = {1, 0};
  const test::LogCapture quiet;
  const auto solver = NewSolver<TypeParam>(c.Text());
  // Momentum from a time when the parameter was not frozen.
  const auto& history = dynamic_cast<SGDSolver<TypeParam>*>(solver.get())->history();
  caffe_set(c.count[1], TypeParam(1), history[1]->mutable_cpu_data());
  const Blob<TypeParam>& frozen = *solver->net()->learnable_params()[1];
  const std::vector<TypeParam> before(frozen.cpu_data(), frozen.cpu_data() + c.count[1]);
  solver->Step(kIterations);
  EXPECT_EQ(before,
            std::vector<TypeParam>(frozen.cpu_data(), frozen.cpu_data() + c.count[1]));
}

TYPED_TEST(UpdateTest, ClippingIsLoggedWithItsNumbers) {
  Case c;
  c.count = {8, 1};
  c.clip = 0.5;
  test::LogCapture log;
  const auto solver = NewSolver<TypeParam>(c.Text());
  solver->Step(1);
  double sum = 0;
  for (int p = 0; p < 2; ++p) {
    for (int i = 0; i < c.count[p]; ++i) {
      const double g = kGradientScale * ScriptedGradient(kScript, 0, p, i);
      sum += g * g;
    }
  }
  const float norm = static_cast<float>(std::sqrt(sum));
  EXPECT_EQ(log.Find("Gradient clipping"),
            Str("Gradient clipping: scaling down gradients (L2 norm ", norm,
                " > 0.5) by scale factor ", 0.5f / norm));
}

TYPED_TEST(UpdateTest, ThreadsDoNotChangeTheBits) {
  Case c;
  c.momentum = 0.875;
  c.decay = 0.03125;
  c.clip = 50;
  const test::LogCapture quiet;
  std::vector<TypeParam> weights[2];
  for (const int threads : {1, 4}) {
    omp_set_num_threads(threads);
    const auto solver = NewSolver<TypeParam>(c.Text());
    solver->Step(kIterations);
    weights[threads == 4] = test::Weights(solver.get());
  }
  omp_set_num_threads(omp_get_num_procs());
  EXPECT_EQ(weights[0], weights[1]);
}

TEST(UpdateErrorsTest, WrongHyperparametersAreNamed) {
  const auto message = [](const Case& c, const std::string& more = "") {
    const test::LogCapture quiet;
    return MessageOf<Error>([&] { NewSolver<float>(c.Text() + more)->Step(1); });
  };
  Case c;
  c.momentum = 0.5;
  c.type = "AdaGrad";
  EXPECT_THAT(message(c), HasSubstr("momentum is 0.5, expected 0 for type 'AdaGrad'"));
  c.type = "RMSProp";
  EXPECT_THAT(message(c), HasSubstr("momentum is 0.5, expected 0 for type 'RMSProp'"));
  c.momentum = 0;
  c.rms_decay = 1;
  EXPECT_THAT(message(c), HasSubstr("rms_decay is 1"));
  c.type = "SGDD";
  EXPECT_THAT(message(c), HasSubstr("unknown type 'SGDD'; the closest is 'SGD'"));
  EXPECT_THAT(message(Case(), " regularization_type: 'L3'"),
              HasSubstr("unknown regularization_type 'L3', expected 'L2' or 'L1'"));
  EXPECT_THAT(message(Case(), " lr_policy: 'stepp'"), HasSubstr("closest is 'step'"));
}

}  // namespace
}  // namespace caffe
