#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Loss(const std::string& params) {
  return "name: 'sce' type: 'SigmoidCrossEntropyLoss' " + params;
}

struct LossCase {
  std::string params;
  bool has_ignored;
  std::string divisor;
};

std::vector<LossCase> Cases() {
  return {
      {"", false, "BATCH"},
      {"loss_param { normalize: true }", false, "VALID"},
      {"loss_param { normalize: false }", false, "BATCH"},
      {"loss_param { normalization: FULL ignore_label: -1 }", true, "FULL"},
      {"loss_param { normalization: VALID ignore_label: -1 }", true, "VALID"},
      {"loss_param { normalization: NONE ignore_label: -1 }", true, "NONE"},
      {"loss_param { normalization: BATCH_SIZE }", false, "BATCH"},
  };
}

template <typename T>
LayerRun<T> MakeRun(const LossCase& c, const std::vector<int>& shape) {
  LayerRun<T> run(Loss(c.params), {shape, shape});
  Fill(run.bottom[0], 1, -4, 4);
  Fill(run.bottom[1], 2, 0, 1);
  if (c.has_ignored) {
    for (int i = 0; i < run.bottom[1]->count(); i += 3) {
      run.bottom[1]->mutable_cpu_data()[i] = -1;
    }
  }
  return run;
}

template <typename T>
class SigmoidCrossEntropyLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SigmoidCrossEntropyLossLayerTest, Types);

TYPED_TEST(SigmoidCrossEntropyLossLayerTest, LossAndGradient) {
  for (const LossCase& c : Cases()) {
    for (const std::vector<int>& shape : {std::vector<int>{4, 3, 2}, {5, 17, 23, 29}}) {
      SCOPED_TRACE(c.params);
      auto run = MakeRun<TypeParam>(c, shape);
      const double loss = run.Forward();
      run.Backward({true, false});
      const Doubles x = run.Bottom(0), t = run.Bottom(1);
      Doubles diff(x.size(), 0);
      double want = 0, valid = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        if (c.has_ignored && t[i] == -1) continue;
        const double p = 1 / (1 + std::exp(-x[i]));
        want -= t[i] * std::log(p) + (1 - t[i]) * std::log(1 - p);
        diff[i] = p - t[i];
        ++valid;
      }
      double divisor = 1;
      if (c.divisor == "FULL") divisor = x.size();
      if (c.divisor == "VALID") divisor = valid;
      if (c.divisor == "BATCH") divisor = shape[0];
      for (double& d : diff) d /= divisor;
      const auto tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, x.size());
      ExpectClose({loss}, {want / divisor}, tolerance, "loss");
      ExpectClose(run.BottomDiff(0), diff, tolerance, "diff");
    }
  }
}

TYPED_TEST(SigmoidCrossEntropyLossLayerTest, LargeScoresAreExact) {
  LayerRun<TypeParam> run(Loss(""), {{1, 4}, {1, 4}});
  const double x[] = {1e4, -1e4, 1e4, -1e4}, t[] = {0, 1, 1, 0};
  FillWith(run.bottom[0], Half::kData, [&](int i) { return x[i]; });
  FillWith(run.bottom[1], Half::kData, [&](int i) { return t[i]; });
  EXPECT_EQ(run.Forward(), 2e4);
  run.Backward({true, false});
  EXPECT_EQ(run.BottomDiff(0), (Doubles{1, -1, 0, 0}));
}

TEST(SigmoidCrossEntropyLossLayerTestDouble, Gradient) {
  for (const LossCase& c : Cases()) {
    SCOPED_TRACE(c.params);
    auto run = MakeRun<double>(c, {4, 3, 2});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
  }
}

TEST(SigmoidCrossEntropyLossLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Loss(""), {{4, 5}, {4, 4}}, 1,
                   {"layer 'sce' (SigmoidCrossEntropyLoss): bottom[1]: shape (4, 4)",
                    "bottom[0] of shape (4, 5)"});
  LayerRun<float> run(Loss(""), {{4, 5}, {4, 5}});
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] { run.Backward(); }).find("targets have no gradient"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
