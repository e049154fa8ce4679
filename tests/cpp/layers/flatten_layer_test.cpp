#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Flatten(const std::string& param) {
  return "name: 'f' type: 'Flatten' flatten_param {" + param + "}";
}

template <typename T>
void Check(const std::string& text, const std::vector<int>& from,
           const std::vector<int>& to) {
  SCOPED_TRACE(text);
  LayerRun<T> run(text, {from});
  const Doubles before = run.Bottom(0);
  run.SetUp();
  run.layer->Forward(run.bottom, run.top);
  EXPECT_EQ(run.top[0]->shape(), to);
  EXPECT_EQ(run.Top(), before);
  // Shared memory: gradients written to the top are those of the bottom.
  FillDiff(run.top[0], 3);
  run.layer->Backward(run.top, {true}, run.bottom);
  EXPECT_EQ(run.BottomDiff(0), run.TopDiff());
  EXPECT_EQ(run.top[0]->data(), run.bottom[0]->data());
}

template <typename T>
class FlattenLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(FlattenLayerTest, Types);

TYPED_TEST(FlattenLayerTest, Shapes) {
  const std::vector<int> x = {2, 3, 4, 5};
  Check<TypeParam>("type: 'Flatten'", x, {2, 60});
  Check<TypeParam>(Flatten("axis: 0"), x, {120});
  Check<TypeParam>(Flatten("axis: 1 end_axis: 2"), x, {2, 12, 5});
  Check<TypeParam>(Flatten("axis: -2"), x, {2, 3, 20});
  Check<TypeParam>(Flatten("axis: 2 end_axis: 2"), x, x);
}

TEST(FlattenLayerTestDouble, Gradient) {
  LayerRun<double> run(Flatten(""), {{2, 3, 2}});
  GradientChecker().CheckGradientEltwise(run.layer.get(), run.bottom, run.top);
}

TEST(FlattenLayerTestFloat, Packed) {
  PackedCase options;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Flatten(""), {{2, 32, 3, 5}}, options);
  ExpectPackedMatchesPlain(Flatten("axis: 2"), {{2, 32, 3, 5}}, options);
}

TEST(FlattenLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Flatten("axis: 3 end_axis: 1"), {{2, 3, 4, 5}}, 1,
                   {"layer 'f' (Flatten)", "axis 3 lies behind end_axis 1"});
  LayerRun<float> run(Flatten(""), {{2, 3}});
  run.InPlace();
  EXPECT_NE(ErrorOfAction([&] { run.SetUp(); }).find("cannot work in place"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
