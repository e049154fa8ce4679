#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class SliceLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SliceLayerTest, Types);

std::string Slice(const std::string& param) {
  return "name: 's' type: 'Slice' slice_param {" + param + "}";
}

template <typename T>
void Check(const std::string& text, int axis, const std::vector<int>& shape,
           const std::vector<int>& extents) {
  SCOPED_TRACE(text);
  LayerRun<T> run(text, {shape}, static_cast<int>(extents.size()));
  run.Forward();
  run.Backward();
  int begin = 0;
  for (size_t t = 0; t < extents.size(); ++t) {
    const Blob<T>& part = *run.top[t];
    ASSERT_EQ(part.shape(axis), extents[t]);
    const int inner = part.count(axis + 1);
    for (int i = 0; i < part.count(); ++i) {
      const int row = i / inner / extents[t], index = i / inner % extents[t];
      const int at = (row * shape[axis] + begin + index) * inner + i % inner;
      ASSERT_EQ(part.cpu_data()[i], run.bottom[0]->cpu_data()[at])
          << "top " << t << ", " << i;
      ASSERT_EQ(run.bottom[0]->cpu_diff()[at], part.cpu_diff()[i])
          << "top " << t << ", " << i;
    }
    begin += extents[t];
  }
  EXPECT_EQ(begin, shape[axis]);
}

TYPED_TEST(SliceLayerTest, EveryAxis) {
  Check<TypeParam>("type: 'Slice'", 1, {2, 6, 4, 5}, {2, 2, 2});
  Check<TypeParam>(Slice("slice_point: 1 slice_point: 5"), 1, {2, 6, 4, 5}, {1, 4, 1});
  Check<TypeParam>(Slice("axis: 0 slice_point: 2"), 0, {3, 2, 4}, {2, 1});
  Check<TypeParam>(Slice("axis: -1"), 3, {2, 3, 4, 6}, {3, 3});
  Check<TypeParam>(Slice("slice_dim: 0"), 0, {4, 2}, {2, 2});
  Check<TypeParam>(Slice("slice_point: 32"), 1, {3, 96, 17, 19}, {32, 64});
}

TYPED_TEST(SliceLayerTest, OneTopSharesMemory) {
  LayerRun<TypeParam> run("type: 'Slice'", {{2, 3, 4, 5}});
  run.Forward();
  EXPECT_EQ(run.top[0]->cpu_data(), run.bottom[0]->cpu_data());
  EXPECT_EQ(run.top[0]->cpu_diff(), run.bottom[0]->cpu_diff());
}

TEST(SliceLayerTestDouble, Gradient) {
  for (const int axis : {0, 1, 2}) {
    LayerRun<double> run(Slice(Str("axis: ", axis, " slice_point: 1")), {{3, 2, 4}}, 2);
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(SliceLayerTestFloat, Packed) {
  PackedCase options;
  options.tops = 2;
  ExpectPackedMatchesPlain(Slice("slice_point: 32"), {{2, 96, 17, 19}}, options);
  ExpectPackedMatchesPlain(Slice("axis: 0"), {{2, 32, 3, 5}}, options);
  ExpectPackedMatchesPlain(Slice("slice_point: 8"), {{2, 24, 3, 5}}, options, 8);
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Slice("slice_point: 10"), {{2, 32, 3, 5}}, options);
  ExpectPackedMatchesPlain(Slice("axis: 3 slice_point: 2"), {{2, 32, 3, 5}}, options);
}

TEST(SliceLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError("name: 's' type: 'Slice' bottom: 'x'", {{2, 5}}, 2,
                   {"layer 's' (Slice): bottom[0] 'x': shape (2, 5)", "2 equal parts"});
  ExpectLayerError(Slice("slice_point: 1"), {{2, 5}}, 3,
                   {"1 slice_point value(s), expected 2"});
  for (const char* points :
       {"slice_point: 3 slice_point: 2", "slice_point: 0 slice_point: 2",
        "slice_point: 3 slice_point: 5", "slice_point: 1 slice_point: 9"}) {
    ExpectLayerError(Slice(points), {{2, 5}}, 3, {"slice_point must rise", "below 5"});
  }
  ExpectLayerError(Slice("axis: 1 slice_dim: 1"), {{2, 4}}, 2, {"slice_dim; give one"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
