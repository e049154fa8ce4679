#include <omp.h>

#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kQuarter = "type: 'Dropout' dropout_param { dropout_ratio: 0.25 }";

template <typename T>
class DropoutLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(DropoutLayerTest, Types);

TYPED_TEST(DropoutLayerTest, DropsTheShareAndScalesTheRest) {
  LayerRun<TypeParam> run(kQuarter, {{3, 5, 67, 71}});
  Caffe::set_random_seed(11);
  run.Forward();
  run.Backward();
  const Doubles x = run.Bottom(0), y = run.Top(), dx = run.BottomDiff(0),
                d = run.TopDiff();
  const Tolerance tolerance = ToleranceOf<TypeParam>(OpKind::kElementwise);
  int dropped = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool gone = y[i] == 0;
    dropped += gone;
    // The gradient goes where the value went.
    ASSERT_TRUE(IsClose(y[i], gone ? 0 : x[i] / 0.75, 1, tolerance)) << i;
    ASSERT_TRUE(IsClose(dx[i], gone ? 0 : d[i] / 0.75, 1, tolerance)) << i;
  }
  EXPECT_NEAR(dropped, 0.25 * x.size(), CountTolerance(x.size(), 0.25));
}

TYPED_TEST(DropoutLayerTest, EveryForwardDrawsAnew) {
  LayerRun<TypeParam> run(kQuarter, {{2, 3, 16, 16}});
  run.Forward();
  const Doubles first = run.Top();
  run.Forward();
  EXPECT_NE(first, run.Top());
}

TYPED_TEST(DropoutLayerTest, TestPhaseCopies) {
  LayerRun<TypeParam> run(kQuarter, {{2, 3, 4, 5}}, 1, TEST);
  run.Forward();
  run.Backward();
  EXPECT_EQ(run.Top(), run.Bottom(0));
  EXPECT_EQ(run.BottomDiff(0), run.TopDiff());
  LayerRun<TypeParam> in_place(kQuarter, {{2, 3, 4, 5}}, 1, TEST);
  const Doubles before = in_place.Bottom(0);
  in_place.InPlace().SetUp();
  in_place.layer->Forward(in_place.bottom, in_place.top);
  EXPECT_EQ(in_place.Bottom(0), before);
}

TYPED_TEST(DropoutLayerTest, InPlace) {
  ExpectInPlaceMatches<TypeParam>(kQuarter, {{2, 3, 4, 5}});
}

TEST(DropoutLayerTestDouble, Gradient) {
  LayerRun<double> run(kQuarter, {{2, 3, 2, 2}});
  GradientChecker().CheckGradientEltwise(run.layer.get(), run.bottom, run.top);
}

TEST(DropoutLayerTestDouble, RatioZeroKeepsAll) {
  LayerRun<double> run("type: 'Dropout' dropout_param { dropout_ratio: 0 }",
                       {{2, 3, 4, 5}});
  run.Forward();
  EXPECT_EQ(run.Top(), run.Bottom(0));
}

// A blob's mask does not depend on where or how its elements are worked on.
TEST(DropoutLayerTestFloat, MaskDoesNotDependOnThreads) {
  Doubles masks[2];
  const int threads = omp_get_max_threads();
  for (int i = 0; i < 2; ++i) {
    omp_set_num_threads(i == 0 ? 1 : 3);
    LayerRun<float> run(kQuarter, {{3, 5, 67, 71}});
    Caffe::set_random_seed(11);
    run.Forward();
    masks[i] = run.Top();
  }
  omp_set_num_threads(threads);
  EXPECT_EQ(masks[0], masks[1]);
}

TEST(DropoutLayerTestFloat, Packed) {
  ExpectPackedMatchesPlain(kQuarter, {{2, 32, 24, 25}});
  ExpectPackedMatchesPlain(kQuarter, {{2, 24, 3, 5}}, {}, 8);
}

TEST(DropoutLayerTestErrors, RatioOutOfRange) {
  for (const char* ratio : {"1", "-0.1", "nan"}) {
    ExpectLayerError(
        std::string("name: 'd' type: 'Dropout' dropout_param { dropout_ratio: ") + ratio +
            "}",
        {{2}}, 1, {"layer 'd' (Dropout)", "dropout_ratio is", "below 1"});
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
