#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kLoss = "name: 'm' type: 'MultinomialLogisticLoss' ";

// Probabilities that add up to 1.
template <typename T>
LayerRun<T> MakeRun(const std::string& text, const std::vector<int>& shape) {
  LayerRun<T> run(text, {shape, {shape[0]}});
  Fill(run.bottom[0], 1, 0.05, 1);
  const int classes = run.bottom[0]->count(1);
  T* p = run.bottom[0]->mutable_cpu_data();
  for (int n = 0; n < shape[0]; ++n, p += classes) {
    double sum = 0;
    for (int c = 0; c < classes; ++c) sum += p[c];
    for (int c = 0; c < classes; ++c) p[c] /= static_cast<T>(sum);
  }
  FillIntegers(run.bottom[1], 2, 0, classes - 1);
  return run;
}

template <typename T>
class MultinomialLogisticLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(MultinomialLogisticLossLayerTest, Types);

TYPED_TEST(MultinomialLogisticLossLayerTest, LossAndGradient) {
  for (const double weight : {1.0, 0.5}) {
    for (const std::vector<int>& shape : {std::vector<int>{4, 5}, {53, 7, 3, 31}}) {
      auto run = MakeRun<TypeParam>(Str(kLoss, "loss_weight: ", weight), shape);
      const double loss = run.Forward();
      run.Backward({true, false});
      const Doubles p = run.Bottom(0), labels = run.Bottom(1);
      const int classes = run.bottom[0]->count(1);
      Doubles dp(p.size(), 0);
      double want = 0;
      for (int n = 0; n < shape[0]; ++n) {
        const int i = n * classes + static_cast<int>(labels[n]);
        want -= weight * std::log(p[i]) / shape[0];
        dp[i] = -weight / (p[i] * shape[0]);
      }
      const auto tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, shape[0]);
      ExpectClose({loss}, {want}, tolerance, "loss");
      ExpectClose(run.BottomDiff(0), dp, tolerance, "dp");
    }
  }
}

TYPED_TEST(MultinomialLogisticLossLayerTest, ProbabilitiesHaveAFloor) {
  LayerRun<TypeParam> run(kLoss, {{1, 2}, {1}});
  FillWith(run.bottom[0], Half::kData, [](int i) { return i; });
  FillWith(run.bottom[1], Half::kData, [](int) { return 0; });
  const double loss = run.Forward();
  run.Backward({true, false});
  const auto tolerance = ToleranceOf<float>(OpKind::kLoss);  // 1e-20 is a float
  ExpectClose({loss}, {20 * std::log(10.0)}, tolerance, "loss");
  ExpectClose(run.BottomDiff(0), {-1e20, 0}, tolerance, "dp");
}

TEST(MultinomialLogisticLossLayerTestDouble, Gradient) {
  auto run = MakeRun<double>(kLoss, {5, 4});
  // Away from 0, where the third derivative is beyond what differences can tell.
  Fill(run.bottom[0], 1, 0.4, 1);
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
}

TEST(MultinomialLogisticLossLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(
      kLoss, {{4, 5}, {4, 2}}, 1,
      {"layer 'm' (MultinomialLogisticLoss): bottom[1]: shape (4, 2) holds 8 labels"});
  auto run = MakeRun<float>(kLoss, {4, 5});
  run.bottom[1]->mutable_cpu_data()[3] = -1;
  EXPECT_NE(ErrorOfAction([&] { run.Forward(); }).find("sample 3 has label -1"),
            std::string::npos);
  run.bottom[1]->mutable_cpu_data()[3] = 0;
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] { run.Backward(); }).find("labels have no gradient"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
