#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Reshape(const std::string& param) {
  return "name: 'r' type: 'Reshape' reshape_param {" + param + "}";
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
class ReshapeLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ReshapeLayerTest, Types);

TYPED_TEST(ReshapeLayerTest, Shapes) {
  const std::vector<int> x = {2, 3, 4, 5};
  Check<TypeParam>(Reshape("shape { dim: 6 dim: 20 }"), x, {6, 20});
  Check<TypeParam>(Reshape("shape { dim: 0 dim: -1 }"), x, {2, 60});
  Check<TypeParam>(Reshape("shape { dim: 0 dim: 0 dim: 10 dim: -1 }"), x, {2, 3, 10, 2});
  Check<TypeParam>(Reshape("shape { dim: -1 dim: 1 } axis: 1 num_axes: 1"), x,
                   {2, 3, 1, 4, 5});
  Check<TypeParam>(Reshape("shape { dim: 12 } axis: 1 num_axes: 2"), x, {2, 12, 5});
  Check<TypeParam>(Reshape("shape { dim: 1 dim: 1 } axis: -1 num_axes: 0"), x,
                   {2, 3, 4, 5, 1, 1});
  Check<TypeParam>(Reshape("shape { dim: 1 } num_axes: 0"), x, {1, 2, 3, 4, 5});
  Check<TypeParam>(Reshape("shape { dim: 10 dim: 2 } axis: -3"), x, {2, 3, 10, 2});
  Check<TypeParam>(Reshape("shape { }"), {1, 1}, {});
}

TEST(ReshapeLayerTestDouble, Gradient) {
  LayerRun<double> run(Reshape("shape { dim: 3 dim: -1 }"), {{2, 3, 2}});
  GradientChecker().CheckGradientEltwise(run.layer.get(), run.bottom, run.top);
}

// A packed bottom read through another shape is unpacked, in both directions.
TEST(ReshapeLayerTestFloat, Packed) {
  PackedCase options;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Reshape("shape { dim: 0 dim: 2 dim: 16 dim: -1 }"),
                           {{2, 32, 3, 5}}, options);
}

TEST(ReshapeLayerTestFloat, FollowsAReshapedBottom) {
  LayerRun<float> run(Reshape("shape { dim: 0 dim: -1 }"), {{2, 3, 2}});
  run.Forward();
  run.bottom[0]->Reshape({4, 5, 6});
  Fill(run.bottom[0], 9);
  run.layer->Forward(run.bottom, run.top);
  EXPECT_EQ(run.top[0]->shape(), (std::vector<int>{4, 30}));
  EXPECT_EQ(run.Top(), run.Bottom(0));
}

TEST(ReshapeLayerTestErrors, SaysWhatIsWrong) {
  const Shapes x = {{2, 3, 4, 5}};
  ExpectLayerError(Reshape("shape { dim: 7 dim: -1 }"), x, 1,
                   {"layer 'r' (Reshape)", "(2, 3, 4, 5)", "120 elements", "(7, -1)"});
  ExpectLayerError(Reshape("shape { dim: 7 }"), x, 1, {"do not fit the shape (7,)"});
  ExpectLayerError(Reshape("shape { dim: -1 dim: -1 }"), x, 1, {"more than one -1"});
  ExpectLayerError(Reshape("shape { dim: -2 }"), x, 1, {"the extent -2"});
  ExpectLayerError(Reshape("shape { dim: 1 dim: 1 dim: 1 dim: 1 dim: 0 }"), x, 1,
                   {"asks for axis 4"});
  ExpectLayerError(Reshape("axis: 5"), x, 1, {"axis 5"});
  ExpectLayerError(Reshape("axis: 3 num_axes: 2"), x, 1, {"num_axes 2"});
  ExpectLayerError(Reshape("shape { dim: 2000000000 dim: 2000000000 dim: 2000000000 }"),
                   x, 1, {"do not fit"});
  LayerRun<float> run(Reshape("shape { dim: 0 }"), {{2}});
  run.InPlace();
  EXPECT_NE(ErrorOfAction([&] { run.SetUp(); }).find("cannot work in place"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
