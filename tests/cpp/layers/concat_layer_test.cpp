#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class ConcatLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ConcatLayerTest, Types);

std::string Concat(int axis) {
  return Str("name: 'c' type: 'Concat' concat_param { axis: ", axis, " }");
}

// The parts' elements lie in the whole as their indices say.
template <typename T>
void Check(const std::string& text, int axis, const Shapes& shapes) {
  SCOPED_TRACE(text);
  LayerRun<T> run(text, shapes);
  run.Forward();
  run.Backward();
  int begin = 0;
  for (size_t b = 0; b < shapes.size(); ++b) {
    const Blob<T>& part = *run.bottom[b];
    const int inner = part.count(axis + 1), extent = part.shape(axis);
    const int whole_extent = run.top[0]->shape(axis);
    for (int i = 0; i < part.count(); ++i) {
      const int row = i / inner / extent, index = i / inner % extent;
      const int at = (row * whole_extent + begin + index) * inner + i % inner;
      ASSERT_EQ(run.top[0]->cpu_data()[at], part.cpu_data()[i])
          << "bottom " << b << ", " << i;
      ASSERT_EQ(part.cpu_diff()[i], run.top[0]->cpu_diff()[at])
          << "bottom " << b << ", " << i;
    }
    begin += extent;
  }
  EXPECT_EQ(run.top[0]->shape(axis), begin);
}

TYPED_TEST(ConcatLayerTest, EveryAxis) {
  Check<TypeParam>("type: 'Concat'", 1, {{2, 3, 4, 5}, {2, 1, 4, 5}, {2, 6, 4, 5}});
  Check<TypeParam>(Concat(0), 0, {{2, 3, 4, 5}, {1, 3, 4, 5}});
  Check<TypeParam>(Concat(2), 2, {{2, 3, 4, 5}, {2, 3, 1, 5}});
  Check<TypeParam>(Concat(-1), 3, {{2, 3, 4, 5}, {2, 3, 4, 2}});
  Check<TypeParam>("type: 'Concat' concat_param { concat_dim: 0 }", 0, {{2, 3}, {4, 3}});
  Check<TypeParam>("type: 'Concat'", 1, {{3, 64, 17, 19}, {3, 32, 17, 19}});
}

TYPED_TEST(ConcatLayerTest, OneBottomSharesMemory) {
  LayerRun<TypeParam> run("type: 'Concat'", {{2, 3, 4, 5}});
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(), run.bottom[0]->shape());
  EXPECT_EQ(run.top[0]->cpu_data(), run.bottom[0]->cpu_data());
  EXPECT_EQ(run.top[0]->cpu_diff(), run.bottom[0]->cpu_diff());
}

TEST(ConcatLayerTestDouble, Gradient) {
  for (const int axis : {0, 1, 2}) {
    LayerRun<double> run(Concat(axis), {{2, 3, 2}, {2, 3, 2}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
  LayerRun<double> one(Concat(1), {{2, 3, 2}, {2, 1, 2}});
  GradientChecker().CheckGradientExhaustive(one.layer.get(), one.bottom, one.top, 1);
}

TEST(ConcatLayerTestFloat, Packed) {
  ExpectPackedMatchesPlain("type: 'Concat'", {{2, 32, 17, 19}, {2, 64, 17, 19}});
  ExpectPackedMatchesPlain(Concat(0), {{2, 32, 3, 5}, {1, 32, 3, 5}});
  ExpectPackedMatchesPlain("type: 'Concat'", {{2, 8, 3, 5}, {2, 24, 3, 5}}, {}, 8);
  // Parts that end inside a block of channels, or other axes, go through plain data.
  PackedCase plain;
  plain.stays_packed = false;
  ExpectPackedMatchesPlain("type: 'Concat'", {{2, 16, 3, 5}, {2, 6, 3, 5}}, plain);
  ExpectPackedMatchesPlain(Concat(2), {{2, 16, 3, 5}, {2, 16, 4, 5}}, plain);
}

TEST(ConcatLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError("name: 'c' type: 'Concat' bottom: 'a' bottom: 'b'",
                   {{2, 3, 4, 5}, {2, 3, 4, 4}}, 1,
                   {"layer 'c' (Concat): bottom[1] 'b': shape (2, 3, 4, 4), expected "
                    "(2, 3, 4, 5) like bottom[0] except on axis 1"});
  ExpectLayerError("name: 'c' type: 'Concat'", {{2, 3}, {2, 3, 1}}, 1,
                   {"shape (2, 3, 1)"});
  ExpectLayerError(Concat(4), {{2, 3}, {2, 3}}, 1, {"axis 4"});
  ExpectLayerError("type: 'Concat' concat_param { axis: 1 concat_dim: 1 }", {{2, 3}}, 1,
                   {"concat_dim; give one"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
