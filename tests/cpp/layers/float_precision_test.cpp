#include <cfloat>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "layer_test.hpp"

// float layers of transcendental functions, over the whole range of their inputs, against
// long double: what a tolerance beside the largest value of a blob does not see.

namespace caffe {
namespace test {
namespace {

using Real = long double;

struct PrecisionCase {
  std::string name, text;
  std::function<Real(Real)> reference;
};

void PrintTo(const PrecisionCase& c, std::ostream* out) { *out << c.text; }

// Of the fields' values in float, which is what a net has.
constexpr Real kTenth = 0.1f;

const std::vector<PrecisionCase>& Cases() {
  static const std::vector<PrecisionCase> cases = {
      {"Sigmoid", "type: 'Sigmoid'", [](Real x) { return 1 / (1 + std::exp(-x)); }},
      {"TanH", "type: 'TanH'", [](Real x) { return std::tanh(x); }},
      {"ELU", "type: 'ELU' elu_param { alpha: 0.1 }",
       [](Real x) { return x > 0 ? x : kTenth * std::expm1(x); }},
      {"Exp", "type: 'Exp'", [](Real x) { return std::exp(x); }},
      {"ExpBase2", "type: 'Exp' exp_param { base: 2 }",
       [](Real x) { return std::exp2(x); }},
      {"ExpShifted", "type: 'Exp' exp_param { base: 10 scale: 0.1 shift: -3 }",
       [](Real x) { return std::pow(Real(10), kTenth * x - 3); }},
      {"Log", "type: 'Log'", [](Real x) { return std::log(x); }},
      {"Log1p", "type: 'Log' log_param { shift: 1 }",
       [](Real x) { return std::log1p(x); }},
      {"LogBase", "type: 'Log' log_param { base: 10 scale: 0.1 shift: 3 }",
       [](Real x) { return std::log10(kTenth * x + 3); }},
      {"PowerFraction", "type: 'Power' power_param { power: 0.75 scale: 0.1 shift: 2 }",
       [](Real x) { return std::pow(kTenth * x + 2, Real(0.75)); }},
      {"PowerLarge", "type: 'Power' power_param { power: 40 scale: 0.1 shift: 1 }",
       [](Real x) { return std::pow(kTenth * x + 1, Real(40)); }},
      {"PowerNegative", "type: 'Power' power_param { power: -2.5 scale: 0.1 shift: 2 }",
       [](Real x) { return std::pow(kTenth * x + 2, Real(-2.5)); }},
  };
  return cases;
}

// 0, and both signs of numbers from the smallest normal one to 1e4: their exponents, and
// in the range in which most functions bend, many of them.
std::vector<float> Sweep() {
  std::vector<float> values = {0};
  const auto add = [&](float x) {
    values.push_back(x);
    values.push_back(-x);
  };
  for (double x = FLT_MIN; x < 1e4; x *= 1.37) add(static_cast<float>(x));
  for (int i = 1; i < 12000; ++i) add(static_cast<float>(i * 0.0101));
  return values;
}

// The relative error, where the result is a normal number; a smaller one may be 0.
void ExpectPrecise(float x, float got, Real want) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << "f(" << x << ") is " << got;
  } else if (std::fabs(want) > FLT_MAX) {
    EXPECT_TRUE(std::isinf(got) && (got > 0) == (want > 0))
        << "f(" << x << ") is " << got << ", expected " << want;
  } else if (std::fabs(want) < FLT_MIN * (1 + 1e-6L)) {
    EXPECT_LE(std::fabs(got - want), FLT_MIN) << "f(" << x << ") is " << got;
  } else {
    EXPECT_LE(std::fabs(got - want), kFloatPrecision * std::fabs(want))
        << "f(" << x << ") is " << got << ", expected " << want;
  }
}

class FloatPrecisionTest : public ::testing::TestWithParam<PrecisionCase> {};

TEST_P(FloatPrecisionTest, HoldsOverTheWholeRange) {
  const std::vector<float> x = Sweep();
  LayerRun<float> run(GetParam().text, {{1, static_cast<int>(x.size())}});
  std::copy(x.begin(), x.end(), run.bottom[0]->mutable_cpu_data());
  run.Forward();
  for (std::size_t i = 0; i < x.size(); ++i) {
    ExpectPrecise(x[i], run.top[0]->cpu_data()[i], GetParam().reference(x[i]));
    if (HasFailure()) break;
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, FloatPrecisionTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// Scores far apart, whose differences are not floats.
TEST(FloatPrecisionTest, OfSoftmax) {
  const int classes = 400;
  for (const std::string text :
       {"type: 'Softmax'", "type: 'Softmax' softmax_param { axis: 0 }"}) {
    const bool across = text.find("axis") != std::string::npos;
    LayerRun<float> run(
        text, {across ? std::vector<int>{classes, 3} : std::vector<int>{3, classes}});
    float* x = run.bottom[0]->mutable_cpu_data();
    const auto at = [&](int n, int c) { return across ? c * 3 + n : n * classes + c; };
    for (int n = 0; n < 3; ++n) {
      for (int c = 0; c < classes; ++c) {
        x[at(n, c)] = static_cast<float>(41.37 * (n - 1) + Uniform(n, c, -80, 5));
      }
    }
    const std::vector<float> scores(x, x + 3 * classes);
    run.Forward();
    for (int n = 0; n < 3; ++n) {
      Real sum = 0;
      for (int c = 0; c < classes; ++c) sum += std::exp(Real(scores[at(n, c)]));
      for (int c = 0; c < classes; ++c) {
        const float score = scores[at(n, c)];
        ExpectPrecise(score, run.top[0]->cpu_data()[at(n, c)],
                      std::exp(Real(score)) / sum);
      }
    }
  }
}

// Where sigmoid(x) is nearly the target, gradients are small and count all the same.
TEST(FloatPrecisionTest, OfTheGradientOfSigmoidCrossEntropy) {
  const std::vector<float> x = Sweep();
  for (const float target : {0.0f, 1.0f}) {
    const int count = static_cast<int>(x.size());
    LayerRun<float> run(
        "type: 'SigmoidCrossEntropyLoss' loss_param { normalization: NONE }",
        {{1, count}, {1, count}});
    std::copy(x.begin(), x.end(), run.bottom[0]->mutable_cpu_data());
    FillWith(run.bottom[1], Half::kData, [=](int) { return target; });
    run.Forward();
    run.Backward({true, false});
    for (int i = 0; i < count; ++i) {
      const Real signed_x = target == 0 ? -Real(x[i]) : Real(x[i]);
      const Real want = 1 / (1 + std::exp(signed_x));
      ExpectPrecise(x[i], run.bottom[0]->cpu_diff()[i], target == 0 ? want : -want);
      if (HasFailure()) break;
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
