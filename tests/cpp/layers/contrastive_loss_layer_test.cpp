#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Loss(double margin, bool legacy) {
  return Str("name: 'c' type: 'ContrastiveLoss' contrastive_loss_param { margin: ",
             margin, " legacy_version: ", legacy, " }");
}

template <typename T>
LayerRun<T> MakeRun(double margin, bool legacy, const std::vector<int>& shape,
                    double spread) {
  LayerRun<T> run(Loss(margin, legacy), {shape, shape, {shape[0]}});
  for (int i = 0; i < 2; ++i) Fill(run.bottom[i], i, -spread, spread);
  FillIntegers(run.bottom[2], 2, 0, 1);
  return run;
}

template <typename T>
class ContrastiveLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ContrastiveLossLayerTest, Types);

TYPED_TEST(ContrastiveLossLayerTest, LossAndGradients) {
  for (const bool legacy : {false, true}) {
    // Some of the unlike pairs are within the margin, and some are not.
    for (const std::vector<int>& shape : {std::vector<int>{40, 3}, {40, 3, 17, 29}}) {
      const double length = shape.size() == 2 ? 3 : 3 * 17 * 29;
      // Near the mean distance, and written out in full by a float.
      const double margin = length == 3 ? (legacy ? 2 : 1.375) : legacy ? 985.5 : 31.375;
      auto run = MakeRun<TypeParam>(margin, legacy, shape, 1);
      const double loss = run.Forward();
      run.Backward({true, true, false});
      const Doubles a = run.Bottom(0), b = run.Bottom(1), y = run.Bottom(2);
      Doubles da(a.size());
      double want = 0;
      int within = 0, beyond = 0;
      for (int n = 0; n < shape[0]; ++n) {
        const size_t begin = n * static_cast<size_t>(length);
        double square = 0;
        for (size_t i = begin; i < begin + length; ++i) {
          square += (a[i] - b[i]) * (a[i] - b[i]);
        }
        const double d = std::sqrt(square);
        double factor = 1;
        if (y[n] != 0) {
          want += square;
        } else {
          const double left = legacy ? margin - square : margin - d;
          (left > 0 ? within : beyond) += 1;
          want += std::max(0.0, legacy ? left : left * std::fabs(left));
          factor = left > 0 ? legacy ? -1 : -left / (d + 1e-4) : 0;
        }
        for (size_t i = begin; i < begin + length; ++i) {
          da[i] = factor * (a[i] - b[i]) / shape[0];
        }
      }
      EXPECT_GT(within, 0);
      EXPECT_GT(beyond, 0);
      const auto tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, a.size());
      ExpectClose({loss}, {want / 2 / shape[0]}, tolerance, "loss");
      ExpectClose(run.BottomDiff(0), da, tolerance, "da");
      for (double& d : da) d = -d;
      ExpectClose(run.BottomDiff(1), da, tolerance, "db");
    }
  }
}

TEST(ContrastiveLossLayerTestDouble, Gradient) {
  for (const bool legacy : {false, true}) {
    // Distances of hundreds, beside which Caffe's 1e-4 is nothing.
    auto run = MakeRun<double>(legacy ? 1e6 : 1000, legacy, {6, 3}, 200);
    GradientChecker checker;
    checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
    checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 1);
  }
}

TEST(ContrastiveLossLayerTestDouble, EqualVectorsHaveNoDirection) {
  LayerRun<double> run(Loss(1, false), {{2, 3}, {2, 3}, {2}});
  run.bottom[1]->CopyFrom(*run.bottom[0]);
  FillWith(run.bottom[2], Half::kData, [](int) { return 0; });
  EXPECT_EQ(run.Forward(), 0.5);
  run.Backward({true, true, false});
  EXPECT_EQ(run.BottomDiff(0), Doubles(6, 0));
}

TEST(ContrastiveLossLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Loss(1, false), {{4, 5}, {4, 6}, {4}}, 1,
                   {"layer 'c' (ContrastiveLoss): bottom[1] (b): shape (4, 6), expected "
                    "(4, 5) like bottom[0] (a)"});
  ExpectLayerError(Loss(1, false), {{4, 5}, {4, 5}, {3}}, 1,
                   {"bottom[2] (similar): shape (3,), expected 4 values"});
  ExpectLayerError(Loss(1, false), {{4, 5}, {4, 5}}, 1,
                   {"got 2 bottom blob(s), expected 3: a, b and similar"});
  auto run = MakeRun<float>(1, false, {4, 5}, 1);
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] { run.Backward(); }).find("bottom[2]: labels have no"),
            std::string::npos);
  EXPECT_TRUE(run.layer->AllowForceBackward(1));
  EXPECT_FALSE(run.layer->AllowForceBackward(2));
}

}  // namespace
}  // namespace test
}  // namespace caffe
