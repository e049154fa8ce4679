#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string SmoothL1(const std::string& param) {
  return "name: 'l' type: 'SmoothL1Loss' bottom: 'x' bottom: 't' smooth_l1_loss_param {" +
         param + "}";
}

template <typename T>
class SmoothL1LossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SmoothL1LossLayerTest, Types);

template <typename T>
void Check(const std::string& param, double sigma, int bottoms,
           const std::vector<int>& shape, double range) {
  SCOPED_TRACE(param);
  LayerRun<T> run(SmoothL1(param) + " loss_weight: 0.5", Shapes(bottoms, shape));
  Fill(run.bottom[0], 0, -range, range);
  Fill(run.bottom[1], 1, -range, range);
  run.Forward();
  std::vector<bool> propagate(bottoms, false);
  propagate[0] = propagate[1] = true;
  run.Backward(propagate);
  const Doubles a = run.Bottom(0), b = run.Bottom(1), ones(a.size(), 1);
  const Doubles inside = bottoms > 2 ? run.Bottom(2) : ones,
                outside = bottoms > 3 ? run.Bottom(3) : ones;
  double loss = 0;
  Doubles da(a.size()), db(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = inside[i] * (a[i] - b[i]);
    const bool near = std::fabs(d) < 1 / (sigma * sigma);
    loss += outside[i] * (near ? 0.5 * (sigma * d) * (sigma * d)
                               : std::fabs(d) - 0.5 / (sigma * sigma));
    const double slope = near ? sigma * sigma * d : d > 0 ? 1 : -1;
    da[i] = 0.5 * outside[i] * inside[i] * slope / shape[0];
    db[i] = -da[i];
  }
  ExpectClose(run.Top(), {loss / shape[0]}, ToleranceOf<T>(OpKind::kReduction, a.size()),
              "loss");
  ExpectClose(run.BottomDiff(0), da, ToleranceOf<T>(OpKind::kElementwise), "da");
  ExpectClose(run.BottomDiff(1), db, ToleranceOf<T>(OpKind::kElementwise), "db");
}

TYPED_TEST(SmoothL1LossLayerTest, AgainstLoops) {
  for (int bottoms = 2; bottoms <= 4; ++bottoms) {
    Check<TypeParam>("", 1, bottoms, {3, 8}, 2);
    Check<TypeParam>("sigma: 3", 3, bottoms, {2, 4, 5, 3}, 0.25);
    Check<TypeParam>("sigma: 0.5", 0.5, bottoms, {4}, 9);
  }
  Check<TypeParam>("", 1, 4, {64, 4 * 21, 5, 7}, 2);
}

TEST(SmoothL1LossLayerTestDouble, Gradient) {
  for (int bottoms = 2; bottoms <= 4; ++bottoms) {
    LayerRun<double> run(SmoothL1("sigma: 1.5"), Shapes(bottoms, {2, 5}));
    Fill(run.bottom[0], 5, -2, 2);
    for (int checked = 0; checked < 2; ++checked) {
      GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top,
                                                checked);
    }
  }
}

TEST(SmoothL1LossLayerTestErrors, SaysWhatIsWrong) {
  const Shapes two = {{2, 3}, {2, 3}};
  ExpectLayerError(SmoothL1("sigma: 0"), two, 1,
                   {"layer 'l' (SmoothL1Loss)", "sigma is 0", "above 0"});
  ExpectLayerError(SmoothL1(""), {{2, 3}, {2, 4}}, 1,
                   {"bottom[1] 't': shape (2, 4)", "as many elements"});
  ExpectLayerError(SmoothL1(""), {{2, 3}, {2, 3}, {2, 1}}, 1,
                   {"bottom[2]: shape (2, 1)"});
  ExpectLayerError(SmoothL1(""), {{2, 3}}, 1, {"at least 2: predictions"});
  EXPECT_NE(ErrorOfAction([] {
              LayerRun<float> run(SmoothL1(""), {{2, 3}, {2, 3}, {2, 3}});
              run.Forward();
              run.Backward({true, false, true});
            }).find("bottom[2]: weights have no gradient"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
