#include <string>
#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string CenterLoss(const std::string& param) {
  return "name: 'c' type: 'CenterLoss' bottom: 'x' bottom: 'label' loss_weight: 0.25 "
         "center_loss_param {" +
         param + "}";
}

template <typename T>
class CenterLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CenterLossLayerTest, Types);

template <typename T>
void Check(const std::string& param, int classes, int samples,
           const std::vector<int>& shape, const std::vector<int>& labels) {
  SCOPED_TRACE(param);
  LayerRun<T> run(CenterLoss(param), {shape, labels});
  FillIntegers(run.bottom[1], 9, 0, classes - 1);
  run.SetUp();
  Blob<T>* centres = run.layer->blobs()[0].get();
  const int length = run.bottom[0]->count() / samples;
  ASSERT_EQ(centres->shape(), (std::vector<int>{classes, length}));
  Fill(centres, 11);
  run.Forward();
  run.Backward({true, false});
  const Doubles x = run.Bottom(0), label = run.Bottom(1), c = Values(*centres);
  Doubles dx(x.size()), dc(c.size(), 0);
  std::vector<int> members(classes, 0);
  for (const double l : label) ++members[static_cast<int>(l)];
  double loss = 0;
  for (int n = 0; n < samples; ++n) {
    const int l = static_cast<int>(label[n]);
    for (int k = 0; k < length; ++k) {
      const double d = x[n * length + k] - c[l * length + k];
      loss += d * d / 2 / shape[0];
      dx[n * length + k] = 0.25 * d / shape[0];
      dc[l * length + k] -= d / (1 + members[l]);
    }
  }
  ExpectClose(run.Top(), {loss}, ToleranceOf<T>(OpKind::kReduction, x.size()), "loss");
  ExpectClose(run.BottomDiff(0), dx, ToleranceOf<T>(OpKind::kElementwise), "dx");
  ExpectClose(Values(*centres, Half::kDiff), dc,
              ToleranceOf<T>(OpKind::kReduction, samples), "dcentres");
}

TYPED_TEST(CenterLossLayerTest, AgainstLoops) {
  Check<TypeParam>("num_output: 3", 3, 7, {7, 5}, {7});
  Check<TypeParam>("num_output: 3", 3, 4, {4, 2, 3, 2}, {4, 1, 1, 1});
  Check<TypeParam>("num_output: 2 axis: 2", 2, 6, {3, 2, 4}, {3, 2});
  Check<TypeParam>("num_output: 1 axis: -1", 1, 6, {3, 2, 4}, {3, 2});
  Check<TypeParam>("num_output: 100", 100, 64, {64, 512}, {64});
}

TEST(CenterLossLayerTestDouble, CentresStartByTheirFiller) {
  for (const auto& [param, value] :
       {std::pair<std::string, double>{"", 0}, {"center_filler { value: 2 }", 2}}) {
    LayerRun<double> run(CenterLoss("num_output: 2 " + param), {{1, 2}, {1}});
    run.SetUp();
    EXPECT_EQ(Values(*run.layer->blobs()[0]), Doubles(4, value));
  }
}

// Of the bottom alone: the rule by which centres move is no derivative.
TEST(CenterLossLayerTestDouble, Gradient) {
  LayerRun<double> run(
      CenterLoss("num_output: 3 center_filler { type: 'uniform' min: -1 }"),
      {{4, 3}, {4}});
  FillIntegers(run.bottom[1], 9, 0, 2);
  run.SetUp();
  run.Forward();
  run.Backward({true, false});
  const Doubles dx = run.BottomDiff(0), x = run.Bottom(0);
  constexpr double kStep = 1e-4;
  Doubles estimate;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double losses[2];
    for (const int side : {0, 1}) {
      run.bottom[0]->mutable_cpu_data()[i] = x[i] + (2 * side - 1) * kStep;
      run.Forward();
      losses[side] = run.Top()[0];
    }
    run.bottom[0]->mutable_cpu_data()[i] = x[i];
    estimate.push_back(0.25 * (losses[1] - losses[0]) / (2 * kStep));
  }
  // The loss is a square, of which the central difference is exact but for rounding.
  ExpectClose(dx, estimate, ToleranceOf<float>(OpKind::kReduction, x.size()), "dx");
}

TEST(CenterLossLayerTestErrors, SaysWhatIsWrong) {
  const Shapes shapes = {{2, 3}, {2}};
  ExpectLayerError(CenterLoss(""), shapes, 1,
                   {"layer 'c' (CenterLoss)", "num_output is missing"});
  ExpectLayerError(CenterLoss("num_output: 2 axis: 3"), shapes, 1, {"axis 3"});
  ExpectLayerError(CenterLoss("num_output: 2"), {{2, 3}, {2, 2}}, 1,
                   {"bottom[1] 'label': shape (2, 2)", "expected 2 labels"});
  const auto with_label = [&](float label) {
    return ErrorOfAction([&] {
      LayerRun<float> run(CenterLoss("num_output: 2"), shapes);
      FillWith(run.bottom[1], Half::kData, [=](int i) { return i * label; });
      run.Forward();
      run.Backward();
    });
  };
  EXPECT_NE(with_label(2).find("sample 1 has label 2, expected 0 to 1"),
            std::string::npos);
  EXPECT_NE(with_label(-1).find("has label -1"), std::string::npos);
  EXPECT_NE(with_label(1).find("labels have no gradient"), std::string::npos);
  ExpectLayerError(
      CenterLoss("num_output: 2") + " blobs { data: 1 shape { dim: 1 dim: 1 } }", shapes,
      1, {"centres of shape (1, 1)", "(2, 3)"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
