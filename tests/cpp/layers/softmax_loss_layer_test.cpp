#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Loss(const std::string& params) {
  return "name: 'loss' type: 'SoftmaxWithLoss' " + params;
}

struct LossCase {
  std::string params;
  std::vector<int> shape;
  int axis = 1;
  int ignored = -1;
  std::string divisor = "VALID";
  double smoothing = 0;
};

std::vector<LossCase> Cases() {
  return {
      {"", {10, 5}},
      {"loss_param { normalization: FULL ignore_label: 2 }", {10, 5}, 1, 2, "FULL"},
      {"loss_param { normalization: VALID ignore_label: 2 }", {10, 5}, 1, 2},
      {"loss_param { normalization: BATCH_SIZE ignore_label: 0 }",
       {4, 5, 3, 2},
       1,
       0,
       "BATCH"},
      {"loss_param { normalization: NONE }", {4, 5, 3, 2}, 1, -1, "NONE"},
      {"loss_param { normalize: true }", {4, 5, 3, 2}},
      {"loss_param { normalize: false }", {4, 5, 3, 2}, 1, -1, "BATCH"},
      {"loss_param { normalize: false normalization: FULL }",
       {4, 5, 3, 2},
       1,
       -1,
       "FULL"},
      {"softmax_param { axis: -1 }", {4, 3, 5}, 2},
      {"softmax_param { axis: 2 } loss_param { ignore_label: 1 }", {4, 3, 5, 2}, 2, 1},
      {"loss_param { label_smoothing: 0.1 }", {10, 5}, 1, -1, "VALID", 0.1f},
      {"loss_param { label_smoothing: 0.25 ignore_label: 3 }",
       {4, 5, 3, 2},
       1,
       3,
       "VALID",
       0.25},
      {"", {3, 7, 13, 11}},
      {"", {5, 1000}},
  };
}

// Values, probabilities and gradients by the definition, position by position.
struct Reference {
  double loss = 0;
  Doubles prob, diff;
};

Reference Compute(const LossCase& c, const Doubles& x, const Doubles& labels) {
  Reference r;
  r.prob.resize(x.size());
  r.diff.assign(x.size(), 0);
  const int classes = c.shape[c.axis];
  int outer = 1, inner = 1, valid = 0;
  for (int d = 0; d < c.axis; ++d) outer *= c.shape[d];
  for (size_t d = c.axis + 1; d < c.shape.size(); ++d) inner *= c.shape[d];
  for (int n = 0; n < outer; ++n) {
    for (int s = 0; s < inner; ++s) {
      const auto at = [&](int k) { return (n * classes + k) * inner + s; };
      double total = 0;
      for (int k = 0; k < classes; ++k) total += std::exp(x[at(k)]);
      const int label = static_cast<int>(labels[n * inner + s]);
      for (int k = 0; k < classes; ++k) {
        const double p = r.prob[at(k)] = std::exp(x[at(k)]) / total;
        if (label == c.ignored) continue;
        const double target = (k == label ? 1 - c.smoothing : 0) + c.smoothing / classes;
        r.loss -= target * std::log(p);
        r.diff[at(k)] = p - target;
      }
      valid += label != c.ignored;
    }
  }
  double divisor = 1;
  if (c.divisor == "FULL") divisor = outer * inner;
  if (c.divisor == "VALID") divisor = valid;
  if (c.divisor == "BATCH") divisor = outer;
  divisor = std::max(divisor, 1.0);
  r.loss /= divisor;
  for (double& d : r.diff) d /= divisor;
  return r;
}

template <typename T>
LayerRun<T> MakeRun(const LossCase& c, const std::string& extra = "", int tops = 1) {
  int positions = 1;
  for (int dim : c.shape) positions *= dim;
  positions /= c.shape[c.axis];
  const int first = c.shape[0];
  LayerRun<T> run(Loss(c.params + extra), {c.shape, {first, positions / first}}, tops);
  Fill(run.bottom[0], 1, -4, 4);
  FillIntegers(run.bottom[1], 2, 0, c.shape[c.axis] - 1);
  return run;
}

template <typename T>
class SoftmaxWithLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SoftmaxWithLossLayerTest, Types);

TYPED_TEST(SoftmaxWithLossLayerTest, LossProbabilitiesAndGradient) {
  for (const LossCase& c : Cases()) {
    SCOPED_TRACE(c.params + " " + ShapeText(c.shape));
    auto run = MakeRun<TypeParam>(c, "", 2);
    const double loss = run.Forward();
    run.Backward({true, false});
    const Reference want = Compute(c, run.Bottom(0), run.Bottom(1));
    const auto tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, run.bottom[0]->count());
    EXPECT_EQ(run.top[0]->num_axes(), 0);
    ExpectClose({loss}, {want.loss}, tolerance, "loss");
    ExpectClose(run.Top(0), {want.loss}, tolerance, "top 0");
    ExpectClose(run.Top(1), want.prob, tolerance, "prob");
    ExpectClose(run.BottomDiff(0), want.diff, tolerance, "diff");
    for (const double d : run.BottomDiff(1)) EXPECT_TRUE(std::isnan(d));
  }
}

TYPED_TEST(SoftmaxWithLossLayerTest, LossWeightScalesLossAndGradient) {
  LossCase c{"", {6, 4}};
  auto run = MakeRun<TypeParam>(c, " loss_weight: 0.25");
  const double weighted = run.Forward();
  run.Backward({true, false});
  Reference want = Compute(c, run.Bottom(0), run.Bottom(1));
  for (double& d : want.diff) d *= 0.25;
  const auto tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, 24);
  ExpectClose({weighted}, {0.25 * want.loss}, tolerance, "weighted loss");
  ExpectClose(run.Top(), {want.loss}, tolerance, "top");
  ExpectClose(run.BottomDiff(0), want.diff, tolerance, "diff");
}

TYPED_TEST(SoftmaxWithLossLayerTest, AllIgnoredIsZero) {
  auto run = MakeRun<TypeParam>({"loss_param { ignore_label: 255 }", {4, 5}});
  FillWith(run.bottom[1], Half::kData, [](int) { return 255; });
  EXPECT_EQ(run.Forward(), 0);
  run.Backward({true, false});
  EXPECT_EQ(run.BottomDiff(0), Doubles(20, 0));
}

// exp would overflow or all underflow; the loss is then the distance of the scores.
TYPED_TEST(SoftmaxWithLossLayerTest, LargeScoresAreExact) {
  LayerRun<TypeParam> run(Loss(""), {{2, 3}, {2}});
  const double x[] = {1e4, 0, -1e4, -2e4, -1e4, -3e4};
  FillWith(run.bottom[0], Half::kData, [&](int i) { return x[i]; });
  FillWith(run.bottom[1], Half::kData, [](int i) { return i == 0 ? 1 : 2; });
  EXPECT_EQ(run.Forward(), (1e4 + 2e4) / 2);
  run.Backward({true, false});
  EXPECT_EQ(run.BottomDiff(0), (Doubles{0.5, -0.5, 0, 0, 0.5, -0.5}));
}

TYPED_TEST(SoftmaxWithLossLayerTest, ExcludedClassMayBeMinusInfinity) {
  LayerRun<TypeParam> run(Loss(""), {{1, 3}, {1}});
  FillWith(run.bottom[0], Half::kData,
           [](int i) { return i == 2 ? -std::numeric_limits<double>::infinity() : 0; });
  FillWith(run.bottom[1], Half::kData, [](int) { return 0; });
  ExpectClose({static_cast<double>(run.Forward())}, {std::log(2)},
              ToleranceOf<TypeParam>(OpKind::kLoss, 3), "loss");
}

TEST(SoftmaxWithLossLayerTestDouble, Gradient) {
  for (const LossCase& c : Cases()) {
    if (c.shape.size() == 2 && c.shape[1] == 1000) continue;
    SCOPED_TRACE(c.params + " " + ShapeText(c.shape));
    auto run = MakeRun<double>(c);
    GradientChecker checker;
    checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
    EXPECT_GT(checker.compared(), 0);
  }
}

TEST(SoftmaxWithLossLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kLoss;
  options.terms = 16 * 15;
  options.stays_packed = options.backward = false;
  options.prepare = [](LayerRun<float>* run) { FillIntegers(run->bottom[1], 2, 0, 15); };
  ExpectPackedMatchesPlain(Loss(""), {{2, 16, 3, 5}, {2, 15}}, options);
}

void ExpectLabelError(float label, const std::string& params, const std::string& part) {
  LayerRun<float> run("bottom: 'fc' bottom: 'label' " + Loss(params), {{4, 10}, {4}});
  FillIntegers(run.bottom[1], 2, 0, 9);
  run.bottom[1]->mutable_cpu_data()[3] = label;
  const std::string message = ErrorOfAction([&] { run.Forward(); });
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(SoftmaxWithLossLayerTestErrors, LabelOutsideTheClasses) {
  ExpectLabelError(
      10, "",
      "layer 'loss' (SoftmaxWithLoss): bottom[1] 'label': sample 3 has label 10, "
      "expected 0 to 9 for the 10 classes of bottom[0]");
  ExpectLabelError(-1, "", "sample 3 has label -1");
  ExpectLabelError(254, "loss_param { ignore_label: 255 }", "or 255 to be ignored");
  ExpectLabelError(std::numeric_limits<float>::quiet_NaN(), "", "sample 3 has label nan");
  ExpectLabelError(3e38f, "loss_param { ignore_label: 255 }", "sample 3 has label 3e+38");
  LayerRun<float> map(Loss(""), {{2, 3, 2, 2}, {2, 2, 2}});
  FillWith(map.bottom[1], Half::kData, [](int i) { return i == 5 ? 3 : 0; });
  const std::string message = ErrorOfAction([&] { map.Forward(); });
  EXPECT_NE(message.find("sample 1, position 1 has label 3"), std::string::npos)
      << message;
}

TEST(SoftmaxWithLossLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(
      Loss(""), {{4, 5, 2}, {4}}, 1,
      {"layer 'loss' (SoftmaxWithLoss): bottom[1]: shape (4,) holds 4 labels, "
       "expected 8"});
  ExpectLayerError(Loss(""), {{4, 5}, {2, 2}}, 1, {"(4, 5)", "(2, 2)", "axis 0"});
  ExpectLayerError(Loss("loss_param { label_smoothing: 1 }"), {{4, 5}, {4}}, 1,
                   {"label_smoothing is 1", "below 1"});
  ExpectLayerError(Loss("loss_weight: 1"), {{4, 5}, {4}}, 2, {"1 loss_weight value(s)"});
  LayerRun<float> run(Loss(""), {{4, 5}, {4}});
  FillIntegers(run.bottom[1], 2, 0, 4);
  run.Forward();
  EXPECT_NE(
      ErrorOfAction([&] { run.Backward({true, true}); }).find("labels have no gradient"),
      std::string::npos);
  EXPECT_FALSE(run.layer->AllowForceBackward(1));
  EXPECT_TRUE(run.layer->AllowForceBackward(0));
}

}  // namespace
}  // namespace test
}  // namespace caffe
