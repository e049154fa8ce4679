#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class SilenceLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SilenceLayerTest, Types);

TYPED_TEST(SilenceLayerTest, GradientIsZeroWhereAskedFor) {
  LayerRun<TypeParam> run("type: 'Silence'", {{2, 3}, {4}}, 0);
  EXPECT_EQ(run.Forward(), 0);
  run.Backward({true, false});
  EXPECT_EQ(run.BottomDiff(0), Doubles(6, 0));
  for (const double d : run.BottomDiff(1)) EXPECT_TRUE(std::isnan(d));
}

TEST(SilenceLayerTestErrors, HasNoTop) {
  ExpectLayerError("name: 's' type: 'Silence'", {{2}}, 1,
                   {"layer 's' (Silence)", "got 1 top blob(s), expected 0"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
