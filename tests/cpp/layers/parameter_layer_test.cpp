#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kParameter =
    "name: 'p' type: 'Parameter' parameter_param { shape { dim: 2 dim: 3 } }";

template <typename T>
class ParameterLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ParameterLayerTest, Types);

TYPED_TEST(ParameterLayerTest, TopHasTheValuesAndGradientsAddUp) {
  LayerRun<TypeParam> run(kParameter, {});
  run.Forward();
  ASSERT_EQ(run.layer->blobs().size(), 1u);
  Blob<TypeParam>* values = run.layer->blobs()[0].get();
  EXPECT_EQ(values->shape(), (std::vector<int>{2, 3}));
  EXPECT_EQ(run.Top(), Doubles(6, 0));
  Fill(values, 5);
  run.Forward();
  EXPECT_EQ(run.Top(), Values(*values));
  // What works in place behind it does not change the parameter.
  FillWith(run.top[0], Half::kData, [](int) { return 9; });
  EXPECT_NE(Values(*values)[0], 9);
  FillWith(values, Half::kDiff, [](int i) { return i; });
  FillWith(run.top[0], Half::kDiff, [](int i) { return 2 * i; });
  run.layer->Backward(run.top, {}, run.bottom);
  EXPECT_EQ(Values(*values, Half::kDiff), (Doubles{0, 3, 6, 9, 12, 15}));
}

TEST(ParameterLayerTestDouble, Gradient) {
  LayerRun<double> run(kParameter, {});
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
}

TEST(ParameterNetTest, LearnsThroughALayerInPlace) {
  NetParameter param;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "state { phase: TRAIN } layer { top: 'p' " + std::string(kParameter) +
          " } layer { name: 'shift' type: 'Power' bottom: 'p' top: 'p' power_param { "
          "shift: 1 } } layer { name: 'loss' type: 'Reduction' bottom: 'p' top: 'loss' "
          "loss_weight: 0.5 reduction_param { operation: SUMSQ } }",
      &param));
  Net<double> net(param);
  ASSERT_EQ(net.learnable_params().size(), 1u);
  Fill(net.learnable_params()[0], 1);
  for (int i = 0; i < 2; ++i) {  // p becomes -1, where the loss is 0, and stays
    net.ClearParamDiffs();
    net.ForwardBackward();
    net.Update();
    ExpectClose(Values(*net.learnable_params()[0]), Doubles(6, -1),
                ToleranceOf<double>(OpKind::kElementwise), "p");
  }
}

TEST(ParameterLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(
      std::string(kParameter) + " blobs { shape { dim: 2 } data: 1 data: 2 }", {}, 1,
      {"layer 'p' (Parameter): the values given with the layer do not fit",
       "of shape (2, 3)"});
  ExpectLayerError(kParameter, {{2}}, 1, {"got 1 bottom blob(s), expected 0"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
