#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kLoss = "name: 'l2' type: 'EuclideanLoss' ";

template <typename T>
class EuclideanLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(EuclideanLossLayerTest, Types);

TYPED_TEST(EuclideanLossLayerTest, LossAndGradients) {
  for (const double weight : {1.0, 0.25}) {
    for (const std::vector<int>& shape : {std::vector<int>{4, 3, 2}, {5, 17, 23, 29}}) {
      LayerRun<TypeParam> run(Str(kLoss, "loss_weight: ", weight), {shape, shape});
      const double loss = run.Forward();
      run.Backward();
      const Doubles a = run.Bottom(0), b = run.Bottom(1);
      Doubles da(a.size()), db(a.size());
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
        da[i] = weight * (a[i] - b[i]) / shape[0];
        db[i] = -da[i];
      }
      const auto tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, a.size());
      ExpectClose({loss}, {weight * sum / shape[0] / 2}, tolerance, "loss");
      ExpectClose(run.BottomDiff(0), da, tolerance, "da");
      ExpectClose(run.BottomDiff(1), db, tolerance, "db");
    }
  }
}

TEST(EuclideanLossLayerTestDouble, Gradient) {
  for (const int bottom : {-1, 0, 1}) {
    LayerRun<double> run(kLoss, {{4, 3, 2}, {4, 3, 2}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top,
                                              bottom);
  }
  LayerRun<double> run(kLoss, {{4, 3, 2}, {4, 6}});
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  EXPECT_TRUE(run.layer->AllowForceBackward(1));
}

TEST(EuclideanLossLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kLoss;
  options.terms = 2 * 32 * 24 * 25;
  ExpectPackedMatchesPlain(kLoss, {{2, 32, 24, 25}, {2, 32, 24, 25}}, options);
  options.stays_packed = false;
  ExpectPackedMatchesPlain(kLoss, {{2, 32, 3, 5}, {2, 32 * 15}}, options);
}

TEST(EuclideanLossLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(kLoss, {{4, 5}, {4, 4}}, 1,
                   {"layer 'l2' (EuclideanLoss): bottom[1]: shape (4, 4)"});
  ExpectLayerError(kLoss, {{4, 5}, {5, 4}}, 1, {"same number of samples on axis 0"});
  ExpectLayerError(kLoss, {{4, 5}}, 1, {"got 1 bottom blob(s), expected 2"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
