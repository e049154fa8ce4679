#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Permute(const std::string& order) {
  return "name: 'p' type: 'Permute' bottom: 'x' permute_param {" + order + "}";
}

template <typename T>
class PermuteLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PermuteLayerTest, Types);

/// Index of every axis for element `i` of an array of this shape.
std::vector<int> Places(const std::vector<int>& shape, int i) {
  std::vector<int> places(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0; i /= shape[axis]) {
    places[axis] = i % shape[axis];
  }
  return places;
}

template <typename T>
void Check(const std::string& text, const std::vector<int>& order,
           const std::vector<int>& shape) {
  SCOPED_TRACE(text + " of " + ShapeText(shape));
  LayerRun<T> run(Permute(text), {shape});
  run.Forward();
  run.Backward();
  std::vector<int> want_shape;
  for (int axis : order) want_shape.push_back(shape[axis]);
  ASSERT_EQ(run.top[0]->shape(), want_shape);
  const Doubles x = run.Bottom(0), y = run.Top(), dy = run.TopDiff(),
                dx = run.BottomDiff(0);
  for (int i = 0; i < run.top[0]->count(); ++i) {
    const std::vector<int> at = Places(want_shape, i);
    std::vector<int> from(shape.size());
    for (std::size_t axis = 0; axis < order.size(); ++axis) from[order[axis]] = at[axis];
    int index = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      index = index * shape[axis] + from[axis];
    }
    ASSERT_EQ(y[i], x[index]) << i;
    ASSERT_EQ(dx[index], dy[i]) << i;
  }
}

TYPED_TEST(PermuteLayerTest, Orders) {
  Check<TypeParam>("order: 0 order: 2 order: 3 order: 1", {0, 2, 3, 1}, {2, 3, 4, 5});
  Check<TypeParam>("order: 0 order: 3 order: 1 order: 2", {0, 3, 1, 2}, {2, 3, 4, 5});
  Check<TypeParam>("order: 3 order: 2 order: 1 order: 0", {3, 2, 1, 0}, {2, 3, 4, 5});
  Check<TypeParam>("order: 1", {1, 0, 2}, {3, 2, 4});
  Check<TypeParam>("order: 2 order: 0", {2, 0, 1, 3, 4}, {2, 3, 2, 1, 4});
  Check<TypeParam>("", {0, 1, 2}, {3, 2, 4});
  Check<TypeParam>("order: 1 order: 0", {1, 0}, {1, 7});
  Check<TypeParam>("order: 0 order: 2 order: 3 order: 1", {0, 2, 3, 1}, {2, 64, 31, 37});
}

TEST(PermuteLayerTestDouble, Gradient) {
  for (const char* order : {"order: 0 order: 2 order: 3 order: 1", "order: 3 order: 1"}) {
    LayerRun<double> run(Permute(order), {{2, 3, 2, 4}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(PermuteLayerTestFloat, FollowsTheBottomsShape) {
  LayerRun<float> run(Permute("order: 0 order: 2 order: 3 order: 1"), {{1, 2, 3, 4}});
  run.Forward();
  run.bottom[0]->Reshape({2, 5, 1, 3});
  run.layer->Reshape(run.bottom, run.top);
  EXPECT_EQ(run.top[0]->shape(), (std::vector<int>{2, 1, 3, 5}));
}

TEST(PermuteLayerTestFloat, Packed) {
  PackedCase options;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Permute("order: 0 order: 2 order: 3 order: 1"),
                           {{2, 32, 3, 5}}, options);
}

TEST(PermuteLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Permute("order: 0 order: 4"), {{1, 2, 3, 4}}, 1,
                   {"layer 'p' (Permute)", "has axis 4", "0 to 3", "(1, 2, 3, 4)"});
  ExpectLayerError(Permute("order: 4294967295"), {{2, 3}}, 1, {"axis 4294967295"});
  ExpectLayerError(Permute("order: 1 order: 1"), {{2, 3}}, 1, {"axis 1 twice"});
  EXPECT_NE(ErrorOfAction([] {
              LayerRun<float> run(Permute("order: 1"), {{2, 3}});
              run.Forward();
              run.bottom[0]->Reshape({2, 3, 4});
              run.layer->Reshape(run.bottom, run.top);
            }).find("expected 2 axes"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
