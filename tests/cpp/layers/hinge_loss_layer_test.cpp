#include <algorithm>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Loss(const std::string& norm) {
  return "name: 'h' type: 'HingeLoss' hinge_loss_param { " + norm + " }";
}

template <typename T>
LayerRun<T> MakeRun(const std::string& norm, const std::vector<int>& shape) {
  LayerRun<T> run(Loss(norm), {shape, {shape[0]}});
  Fill(run.bottom[0], 1, -2, 2);
  FillIntegers(run.bottom[1], 2, 0, run.bottom[0]->count(1) - 1);
  return run;
}

template <typename T>
class HingeLossLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(HingeLossLayerTest, Types);

TYPED_TEST(HingeLossLayerTest, LossAndGradient) {
  for (const std::string norm : {"", "norm: L1", "norm: L2"}) {
    for (const std::vector<int>& shape : {std::vector<int>{4, 5}, {67, 3, 17, 29}}) {
      SCOPED_TRACE(norm);
      auto run = MakeRun<TypeParam>(norm, shape);
      const double loss = run.Forward();
      run.Backward({true, false});
      const Doubles x = run.Bottom(0), labels = run.Bottom(1);
      const int classes = run.bottom[0]->count(1);
      Doubles dx(x.size());
      double want = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double sign = labels[i / classes] == i % classes ? -1 : 1;
        const double margin = std::max(0.0, 1 + sign * x[i]);
        const bool squared = norm == "norm: L2";
        want += squared ? margin * margin : margin;
        dx[i] = margin == 0 ? 0 : sign * (squared ? 2 * margin : 1) / shape[0];
      }
      const auto tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, x.size());
      ExpectClose({loss}, {want / shape[0]}, tolerance, "loss");
      ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
    }
  }
}

TEST(HingeLossLayerTestDouble, Gradient) {
  for (const std::string norm : {"norm: L1", "norm: L2"}) {
    auto run = MakeRun<double>(norm, {5, 4});
    GradientChecker checker(1);
    checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, 0);
    EXPECT_GT(checker.compared(), 0);
  }
}

TEST(HingeLossLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Loss(""), {{4, 5}, {4, 2}}, 1,
                   {"layer 'h' (HingeLoss): bottom[1]: shape (4, 2) holds 8 labels",
                    "one for every sample of bottom[0] of shape (4, 5)"});
  auto run = MakeRun<float>("", {4, 5});
  run.bottom[1]->mutable_cpu_data()[2] = 5;
  EXPECT_NE(
      ErrorOfAction([&] { run.Forward(); }).find("sample 2 has label 5, expected 0 to 4"),
      std::string::npos);
  run.bottom[1]->mutable_cpu_data()[2] = 4;
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] { run.Backward(); }).find("labels have no gradient"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
