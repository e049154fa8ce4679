#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "caffe/layers/power_layer.hpp"
#include "gradient_checker.hpp"
#include "layer_test.hpp"

// AbsVal, BNLL, Clip, ELU, Exp, Log, Power, ReLU, Sigmoid, Swish, TanH and Threshold: the
// layers made of one functor.

namespace caffe {
namespace test {
namespace {

struct ElementwiseCase {
  std::string name;
  std::string text;
  std::function<double(double)> reference;
  OpKind kind;
  double low = -2, high = 2;
  double kink = -1;
};

void PrintTo(const ElementwiseCase& c, std::ostream* out) { *out << c.text; }

const std::vector<ElementwiseCase>& Cases() {
  static const std::vector<ElementwiseCase> cases = {
      {"ReLU", "type: 'ReLU'", [](double x) { return std::fmax(x, 0); }, OpKind::kCopy,
       -2, 2, 0},
      {"LeakyReLU", "type: 'ReLU' relu_param { negative_slope: 0.125 }",
       [](double x) { return x > 0 ? x : 0.125 * x; }, OpKind::kElementwise, -2, 2, 0},
      {"FoldingReLU", "type: 'ReLU' relu_param { negative_slope: -0.5 }",
       [](double x) { return x > 0 ? x : -0.5 * x; }, OpKind::kElementwise, -2, 2, 0},
      {"ELU", "type: 'ELU'", [](double x) { return x > 0 ? x : std::exp(x) - 1; },
       OpKind::kTranscendental},
      {"ELUScaled", "type: 'ELU' elu_param { alpha: 0.5 }",
       [](double x) { return x > 0 ? x : 0.5 * (std::exp(x) - 1); },
       OpKind::kTranscendental, -2, 2, 0},
      {"ELUNegativeAlpha", "type: 'ELU' elu_param { alpha: -2 }",
       [](double x) { return x > 0 ? x : -2 * (std::exp(x) - 1); },
       OpKind::kTranscendental, -2, 2, 0},
      {"Sigmoid", "type: 'Sigmoid'", [](double x) { return 1 / (1 + std::exp(-x)); },
       OpKind::kTranscendental, -8, 8},
      {"TanH", "type: 'TanH'",
       [](double x) {
         return (std::exp(x) - std::exp(-x)) / (std::exp(x) + std::exp(-x));
       },
       OpKind::kTranscendental, -3, 3},
      {"AbsVal", "type: 'AbsVal'", [](double x) { return x < 0 ? -x : x; }, OpKind::kCopy,
       -2, 2, 0},
      {"PowerDefault", "type: 'Power'", [](double x) { return x; }, OpKind::kElementwise},
      {"PowerLinear", "type: 'Power' power_param { scale: -0.5 shift: 3 }",
       [](double x) { return 3 - 0.5 * x; }, OpKind::kElementwise},
      {"PowerSquare", "type: 'Power' power_param { power: 2 scale: 0.5 shift: 1 }",
       [](double x) { return (1 + 0.5 * x) * (1 + 0.5 * x); }, OpKind::kElementwise},
      {"PowerCube", "type: 'Power' power_param { power: 3 }",
       [](double x) { return x * x * x; }, OpKind::kTranscendental},
      {"PowerFraction", "type: 'Power' power_param { power: 0.375 scale: 0.5 shift: 4 }",
       [](double x) { return std::exp(0.375 * std::log(4 + 0.5 * x)); },
       OpKind::kTranscendental},
      {"PowerZero", "type: 'Power' power_param { power: 0 scale: 3 }",
       [](double) { return 1; }, OpKind::kCopy},
      {"PowerConstant", "type: 'Power' power_param { power: 3 scale: 0 shift: -2 }",
       [](double) { return -8; }, OpKind::kElementwise},
      {"Exp", "type: 'Exp'", [](double x) { return std::exp(x); },
       OpKind::kTranscendental},
      {"ExpBase", "type: 'Exp' exp_param { base: 2 scale: 3 shift: -1 }",
       [](double x) { return std::pow(2, 3 * x - 1); }, OpKind::kTranscendental},
      {"Log", "type: 'Log'", [](double x) { return std::log(x); },
       OpKind::kTranscendental, 0.25, 4},
      {"BNLL", "type: 'BNLL'", [](double x) { return std::log(1 + std::exp(x)); },
       OpKind::kTranscendental, -6, 6},
      {"Clip", "type: 'Clip' clip_param { min: -1 max: 1 }",
       [](double x) { return std::fmax(-1, std::fmin(x, 1)); }, OpKind::kCopy, -2, 2, 1},
      {"ClipOneSide", "type: 'Clip' clip_param { min: -0.5 max: 9 }",
       [](double x) { return x < -0.5 ? -0.5 : x; }, OpKind::kCopy, -2, 2, 0.5},
      {"Swish", "type: 'Swish'", [](double x) { return x / (1 + std::exp(-x)); },
       OpKind::kTranscendental, -8, 8},
      {"SwishBeta", "type: 'Swish' swish_param { beta: -1.5 }",
       [](double x) { return x / (1 + std::exp(1.5 * x)); }, OpKind::kTranscendental, -3,
       3},
      {"LogBase", "type: 'Log' log_param { base: 10 scale: 0.5 shift: 3 }",
       [](double x) { return std::log10(3 + 0.5 * x); }, OpKind::kTranscendental},
  };
  return cases;
}

class ElementwiseTest : public ::testing::TestWithParam<ElementwiseCase> {
 protected:
  template <typename T>
  void CheckForward(const Shapes& shapes) {
    LayerRun<T> run(GetParam().text, shapes);
    Fill(run.bottom[0], 1, GetParam().low, GetParam().high);
    run.Forward();
    EXPECT_EQ(run.top[0]->shape(), run.bottom[0]->shape());
    Doubles want;
    for (const double x : run.Bottom(0)) want.push_back(GetParam().reference(x));
    ExpectClose(run.Top(), want, ToleranceOf<T>(GetParam().kind), "top");
  }

  // The comparison helpers take plain functions, which cannot see the parameter.
  template <typename T>
  static void FillFromRange(LayerRun<T>* run) {
    Fill(run->bottom[0], 1, GetParam().low, GetParam().high);
  }
};

TEST_P(ElementwiseTest, ForwardFloat) { CheckForward<float>({{2, 3, 4, 5}}); }
TEST_P(ElementwiseTest, ForwardDouble) { CheckForward<double>({{2, 3, 4, 5}}); }
// Large enough for several threads, of a length that no vector divides.
TEST_P(ElementwiseTest, ForwardManyThreads) { CheckForward<float>({{3, 1, 131, 257}}); }

TEST_P(ElementwiseTest, Gradient) {
  LayerRun<double> run(GetParam().text, {{2, 3, 2, 2}});
  Fill(run.bottom[0], 1, GetParam().low, GetParam().high);
  GradientChecker checker(GetParam().kink);
  checker.CheckGradientEltwise(run.layer.get(), run.bottom, run.top);
  EXPECT_GT(checker.compared(), 0);
}

TEST_P(ElementwiseTest, InPlace) {
  ExpectInPlaceMatches<float>(GetParam().text, {{2, 3, 4, 5}}, 0, FillFromRange<float>);
  ExpectInPlaceMatches<double>(GetParam().text, {{2, 3, 4, 5}}, 0, FillFromRange<double>);
}

TEST_P(ElementwiseTest, Packed) {
  PackedCase options;
  options.prepare = FillFromRange<float>;
  // Vector and scalar versions of a loop may round a * b + c differently.
  options.kind = GetParam().kind;
  ExpectPackedMatchesPlain(GetParam().text, {{2, 32, 3, 5}}, options);
  ExpectPackedMatchesPlain(GetParam().text, {{2, 8, 3, 5}}, options, 8);
}

TEST_P(ElementwiseTest, FloatMatchesDouble) {
  ExpectFloatMatchesDouble(
      GetParam().text, {{2, 3, 131, 67}},
      GetParam().kind == OpKind::kCopy ? OpKind::kElementwise : GetParam().kind, 1, 1, {},
      FillFromRange<float>);
}

INSTANTIATE_TEST_SUITE_P(All, ElementwiseTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

TEST(ReLULayerTest, NaNStaysNaNAndZeroIsPositive) {
  LayerRun<float> run("type: 'ReLU'", {{4}});
  float* x = run.bottom[0]->mutable_cpu_data();
  x[0] = std::numeric_limits<float>::quiet_NaN();
  x[1] = -1;
  x[2] = 0;
  x[3] = std::numeric_limits<float>::infinity();
  run.Forward();
  EXPECT_TRUE(std::isnan(run.Top()[0]));
  EXPECT_FALSE(std::signbit(run.Top()[1]));
  EXPECT_EQ(run.Top()[2], 0);
  EXPECT_EQ(run.Top()[3], std::numeric_limits<double>::infinity());
}

// A layer behind this one may work in place on its top.
TEST(ReLULayerTest, GradientGoesByTheInputWhenThereIsOne) {
  LayerRun<double> run("type: 'ReLU'", {{2, 3}});
  run.Forward();
  FillWith(run.top[0], Half::kData, [](int) { return -1; });
  run.Backward();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(run.BottomDiff(0)[i], run.Bottom(0)[i] > 0 ? run.TopDiff()[i] : 0);
  }
}

TEST(SigmoidLayerTest, DoesNotOverflow) {
  LayerRun<float> run("type: 'Sigmoid'", {{2}});
  run.bottom[0]->mutable_cpu_data()[0] = -1e30f;
  run.bottom[0]->mutable_cpu_data()[1] = 1e30f;
  run.Forward();
  EXPECT_EQ(run.Top()[0], 0);
  EXPECT_EQ(run.Top()[1], 1);
}

TEST(PowerLayerTest, ZeroPowerHasNoGradientEvenAtZero) {
  LayerRun<double> run("type: 'Power' power_param { power: 0 }", {{3}});
  FillWith(run.bottom[0], Half::kData, [](int) { return 0; });
  run.Forward();
  run.Backward();
  EXPECT_EQ(run.Top(), Doubles(3, 1));
  EXPECT_EQ(run.BottomDiff(0), Doubles(3, 0));
}

// 3 x^2, as a plugin may write it: by what PowerLayer does for x^2.
class ThriceSquareLayer : public PowerLayer<double> {
 public:
  using PowerLayer<double>::PowerLayer;

 protected:
  void Forward_cpu(const vector<Blob<double>*>& bottom,
                   const vector<Blob<double>*>& top) override {
    PowerLayer<double>::Forward_cpu(bottom, top);
    top[0]->scale_data(3);
  }
  void Backward_cpu(const vector<Blob<double>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<double>*>& bottom) override {
    PowerLayer<double>::Backward_cpu(top, propagate_down, bottom);
    bottom[0]->scale_diff(3);
  }
};

TEST(PowerLayerTest, CanBeDerivedFrom) {
  LayerParameter param;
  param.mutable_power_param()->set_power(2);
  ThriceSquareLayer layer(param);
  for (const bool in_place : {false, true}) {
    Blob<double> x({2}), other;
    x.mutable_cpu_data()[0] = -2;
    x.mutable_cpu_data()[1] = 0.5;
    Blob<double>& y = in_place ? x : other;
    layer.SetUp({&x}, {&y});
    layer.Forward({&x}, {&y});
    EXPECT_EQ(y.cpu_data()[0], 12);
    EXPECT_EQ(y.cpu_data()[1], 0.75);
    y.mutable_cpu_diff()[0] = 1;
    y.mutable_cpu_diff()[1] = -2;
    layer.Backward({&y}, {true}, {&x});
    EXPECT_EQ(x.cpu_diff()[0], -12);
    EXPECT_EQ(x.cpu_diff()[1], -6);
  }
  EXPECT_TRUE(TraitsOf(layer).bottom_use.empty());
}

TEST(BNLLLayerTest, NeitherOverflowsNorLosesDigits) {
  LayerRun<float> run("type: 'BNLL'", {{5}});
  const double x[] = {-80, -20, 100, 1e30, std::nan("")};
  FillWith(run.bottom[0], Half::kData, [&](int i) { return x[i]; });
  run.Forward();
  run.Backward();
  const Tolerance tolerance = ToleranceOf<float>(OpKind::kTranscendental);
  for (int i = 0; i < 2; ++i) {  // log(1 + e) is e - e^2 / 2 there
    ExpectClose({run.Top()[i]}, {std::exp(x[i])}, tolerance, "top");
    ExpectClose({run.BottomDiff(0)[i] / run.TopDiff()[i]}, {std::exp(x[i])}, tolerance,
                "gradient");
  }
  EXPECT_EQ(run.Top()[2], 100);
  EXPECT_EQ(run.Top()[3], double{1e30f});
  EXPECT_EQ(run.BottomDiff(0)[3], run.TopDiff()[3]);
  EXPECT_TRUE(std::isnan(run.Top()[4]));
}

TEST(ClipLayerTest, LimitsPassTheGradientAndNaNStays) {
  LayerRun<double> run("type: 'Clip' clip_param { min: -1 max: 2 }", {{5}});
  const double x[] = {-1, 2, -1.25, 2.25, std::nan("")};
  FillWith(run.bottom[0], Half::kData, [&](int i) { return x[i]; });
  run.Forward();
  run.Backward();
  const Doubles dy = run.TopDiff(), dx = run.BottomDiff(0);
  EXPECT_EQ(dx, (Doubles{dy[0], dy[1], 0, 0, 0}));
  EXPECT_TRUE(std::isnan(run.Top()[4]));
}

TEST(ClipLayerTest, NeedsItsLimitsInOrder) {
  ExpectLayerError("name: 'c' type: 'Clip'", {{2}}, 1,
                   {"layer 'c' (Clip)", "clip_param is missing"});
  ExpectLayerError("name: 'c' type: 'Clip' clip_param { min: 3 max: 1 }", {{2}}, 1,
                   {"clip_param.min is 3, expected at most max, 1"});
}

// By hand: there is no gradient to check.
template <typename T>
void CheckThreshold() {
  for (const double threshold : {0.0, -0.25}) {
    const std::string text =
        Str("type: 'Threshold' threshold_param { threshold: ", threshold, " }");
    LayerRun<T> run(text, {{2, 3, 11, 13}}), in_place(text, {{2, 3, 11, 13}});
    run.bottom[0]->mutable_cpu_data()[0] = static_cast<T>(threshold);
    in_place.bottom[0]->mutable_cpu_data()[0] = static_cast<T>(threshold);
    in_place.InPlace().Forward();
    run.Forward();
    Doubles want;
    for (const double x : run.Bottom(0)) want.push_back(x > threshold);
    EXPECT_EQ(run.Top(), want);
    EXPECT_EQ(in_place.Top(), want);
  }
}

TEST(ThresholdLayerTest, IsOneAbove) {
  CheckThreshold<float>();
  CheckThreshold<double>();
  PackedCase options;
  options.backward = false;
  ExpectPackedMatchesPlain("type: 'Threshold'", {{2, 32, 3, 5}}, options);
}

TEST(ThresholdLayerTest, HasNoGradient) {
  LayerRun<float> run("name: 't' type: 'Threshold'", {{2, 3}});
  run.Forward();
  run.Backward({false});
  EXPECT_NE(ErrorOfAction([&] { run.Backward({true}); }).find("it has no gradient"),
            std::string::npos);
  EXPECT_FALSE(run.layer->AllowForceBackward(0));
  EXPECT_EQ(TraitsOf(*run.layer).UseOfBottom(0), DataUse::kNone);
}

TEST(ExpLayerTest, BaseMustBePositive) {
  ExpectLayerError("name: 'e' type: 'Exp' exp_param { base: 0 }", {{2}}, 1,
                   {"layer 'e' (Exp)", "exp_param.base is 0", "positive"});
}

TEST(LogLayerTest, BaseMustBePositiveAndNotOne) {
  ExpectLayerError("name: 'l' type: 'Log' log_param { base: 1 }", {{2}}, 1,
                   {"layer 'l' (Log)", "log_param.base is 1"});
  ExpectLayerError("name: 'l' type: 'Log' log_param { base: -3 }", {{2}}, 1,
                   {"log_param.base is -3"});
}

TEST(NeuronLayerTest, TakesOneBlobOnly) {
  ExpectLayerError("name: 'r' type: 'ReLU'", {{2}, {2}}, 1,
                   {"layer 'r' (ReLU)", "got 2 bottom blob(s)", "expected 1"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
