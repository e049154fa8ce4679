#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class SplitLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SplitLayerTest, Types);

TYPED_TEST(SplitLayerTest, SharesForwardAndSumsBackward) {
  for (int tops = 1; tops <= 4; ++tops) {
    for (const std::vector<int>& shape : {std::vector<int>{2, 3, 4, 5}, {3, 5, 47, 53}}) {
      LayerRun<TypeParam> run("type: 'Split'", {shape}, tops);
      run.Forward();
      run.Backward();
      Doubles want(run.bottom[0]->count(), 0);
      for (int t = 0; t < tops; ++t) {
        EXPECT_EQ(run.top[t]->cpu_data(), run.bottom[0]->cpu_data());
        const Doubles d = run.TopDiff(t);
        for (size_t i = 0; i < want.size(); ++i) want[i] += d[i];
      }
      ExpectClose(run.BottomDiff(0), want,
                  ToleranceOf<TypeParam>(OpKind::kReduction, tops), "dx");
    }
  }
}

TEST(SplitLayerTestDouble, Gradient) {
  LayerRun<double> run("type: 'Split'", {{2, 3, 2}}, 3);
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
}

TEST(SplitLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kElementwise;
  for (int tops = 1; tops <= 3; ++tops) {
    options.tops = tops;
    ExpectPackedMatchesPlain("type: 'Split'", {{2, 32, 24, 25}}, options);
    ExpectPackedMatchesPlain("type: 'Split'", {{2, 8, 3, 5}}, options, 8);
  }
}

// A bottom that grows between two runs gets new memory, which the tops must follow.
TEST(SplitLayerTestFloat, FollowsAReshapedBottom) {
  LayerRun<float> run("type: 'Split'", {{2, 3}}, 2);
  run.Forward();
  run.bottom[0]->Reshape({4, 5});
  Fill(run.bottom[0], 9);
  run.layer->Forward(run.bottom, run.top);
  EXPECT_EQ(run.Top(0), run.Bottom(0));
  EXPECT_EQ(run.Top(1), run.Bottom(0));
}

TEST(SplitLayerTestErrors, NotInPlace) {
  LayerRun<float> run("name: 's' type: 'Split'", {{2}}, 2);
  run.InPlace();
  EXPECT_NE(ErrorOfAction([&] { run.SetUp(); })
                .find("layer 's' (Split): top[0] is bottom[0], but this layer cannot "
                      "work in place"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
