#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Shuffle(const std::string& param) {
  return "name: 's' type: 'ShuffleChannel' bottom: 'x' shuffle_channel_param {" + param +
         "}";
}

template <typename T>
class ShuffleChannelLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ShuffleChannelLayerTest, Types);

template <typename T>
void Check(const std::string& param, int group, const std::vector<int>& shape) {
  SCOPED_TRACE(param);
  LayerRun<T> run(Shuffle(param), {shape});
  run.Forward();
  run.Backward();
  ASSERT_EQ(run.top[0]->shape(), shape);
  const Doubles x = run.Bottom(0), y = run.Top(), dy = run.TopDiff(),
                dx = run.BottomDiff(0);
  const int channels = shape[1], spatial = run.bottom[0]->count(2);
  for (int n = 0; n < shape[0]; ++n) {
    for (int c = 0; c < channels; ++c) {
      const int source = c % group * (channels / group) + c / group;
      for (int s = 0; s < spatial; ++s) {
        const int to = (n * channels + c) * spatial + s;
        const int from = (n * channels + source) * spatial + s;
        ASSERT_EQ(y[to], x[from]);
        ASSERT_EQ(dx[from], dy[to]);
      }
    }
  }
}

TYPED_TEST(ShuffleChannelLayerTest, Groups) {
  Check<TypeParam>("group: 2", 2, {2, 6, 3, 5});
  Check<TypeParam>("group: 3", 3, {2, 6, 3, 5});
  Check<TypeParam>("group: 6", 6, {1, 6, 2, 2});
  Check<TypeParam>("", 1, {2, 6, 3, 5});
  Check<TypeParam>("group: 3", 3, {4, 12});
  Check<TypeParam>("group: 8", 8, {2, 240, 28, 28});
}

/// Channels 0 to 5 in two groups become 0, 3, 1, 4, 2, 5.
TEST(ShuffleChannelLayerTestDouble, KnownOrder) {
  LayerRun<double> run(Shuffle("group: 2"), {{1, 6}});
  FillWith(run.bottom[0], Half::kData, [](int i) { return i; });
  run.Forward();
  EXPECT_EQ(run.Top(), (Doubles{0, 3, 1, 4, 2, 5}));
}

TEST(ShuffleChannelLayerTestDouble, Gradient) {
  LayerRun<double> run(Shuffle("group: 3"), {{2, 6, 2}});
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
}

TEST(ShuffleChannelLayerTestFloat, Packed) {
  PackedCase options;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Shuffle("group: 4"), {{2, 32, 3, 5}}, options);
}

TEST(ShuffleChannelLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Shuffle("group: 4"), {{2, 6}}, 1,
                   {"layer 's' (ShuffleChannel)", "group is 4", "divisor of the 6"});
  ExpectLayerError(Shuffle("group: 0"), {{2, 6}}, 1, {"group is 0"});
  ExpectLayerError(Shuffle("group: 2"), {{6}}, 1, {"shape (6,)", "(N, C, ...)"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
