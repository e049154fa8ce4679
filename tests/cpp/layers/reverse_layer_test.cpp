#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Reverse(const std::string& param) {
  return "name: 'r' type: 'Reverse' bottom: 'x' reverse_param {" + param + "}";
}

template <typename T>
class ReverseLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ReverseLayerTest, Types);

template <typename T>
void Check(const std::string& param, int axis, const std::vector<int>& shape) {
  SCOPED_TRACE(param);
  LayerRun<T> run(Reverse(param), {shape});
  run.Forward();
  run.Backward();
  ASSERT_EQ(run.top[0]->shape(), shape);
  const Doubles x = run.Bottom(0), y = run.Top(), dy = run.TopDiff(),
                dx = run.BottomDiff(0);
  const int extent = shape[axis], inner = run.bottom[0]->count(axis + 1);
  for (int i = 0; i < run.top[0]->count(); ++i) {
    const int at = i / inner % extent;
    const int from = i + (extent - 1 - 2 * at) * inner;
    ASSERT_EQ(y[i], x[from]) << i;
    ASSERT_EQ(dx[from], dy[i]) << i;
  }
}

TYPED_TEST(ReverseLayerTest, EveryAxis) {
  Check<TypeParam>("", 0, {5, 3, 4});
  Check<TypeParam>("axis: 1", 1, {5, 3, 4});
  Check<TypeParam>("axis: 2", 2, {5, 3, 4});
  Check<TypeParam>("axis: -1", 2, {5, 3, 4});
  Check<TypeParam>("axis: -3", 0, {5, 3, 4});
  Check<TypeParam>("", 0, {1, 3});
  Check<TypeParam>("", 0, {26, 64, 512});
}

TEST(ReverseLayerTestDouble, Gradient) {
  for (const char* param : {"", "axis: 1", "axis: 2"}) {
    LayerRun<double> run(Reverse(param), {{3, 2, 4}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(ReverseLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Reverse("axis: 2"), {{2, 6}}, 1, {"layer 'r' (Reverse)", "axis 2"});
  ExpectLayerError(Reverse("axis: -3"), {{2, 6}}, 1, {"axis -3"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
