#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string ArgMax(const std::string& param) {
  return "name: 'm' type: 'ArgMax' argmax_param {" + param + "}";
}

template <typename T>
class ArgMaxLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ArgMaxLayerTest, Types);

// The index among `candidates` values, `stride` apart, that `rank` others exceed.
int IndexOfRank(const Doubles& x, int first, int stride, int candidates, int rank) {
  for (int c = 0; c < candidates; ++c) {
    int larger = 0;
    for (int other = 0; other < candidates; ++other) {
      larger += x[first + other * stride] > x[first + c * stride];
    }
    if (larger == rank) return c;
  }
  return -1;
}

TYPED_TEST(ArgMaxLayerTest, WholeSample) {
  for (const bool values : {false, true}) {
    for (const int k : {1, 4, 60}) {
      LayerRun<TypeParam> run(
          ArgMax(Str("top_k: ", k, values ? " out_max_val: true" : "")), {{2, 3, 4, 5}});
      FillDistinct(run.bottom[0], 1);
      run.Forward();
      ASSERT_EQ(run.top[0]->shape(), (std::vector<int>{2, values ? 2 : 1, k, 1}));
      const Doubles x = run.Bottom(0);
      for (int n = 0; n < 2; ++n) {
        for (int rank = 0; rank < k; ++rank) {
          const int index = IndexOfRank(x, n * 60, 1, 60, rank);
          EXPECT_EQ(run.top[0]->data_at(n, 0, rank, 0), index);
          if (!values) continue;
          EXPECT_EQ(run.top[0]->data_at(n, 1, rank, 0), x[n * 60 + index]);
        }
      }
    }
  }
}

TYPED_TEST(ArgMaxLayerTest, AlongAnAxis) {
  for (const bool values : {false, true}) {
    for (int axis = 0; axis < 4; ++axis) {
      LayerRun<TypeParam> run(
          ArgMax(Str("top_k: 2 axis: ", axis, values ? " out_max_val: true" : "")),
          {{2, 3, 4, 5}});
      FillDistinct(run.bottom[0], 1);
      run.Forward();
      std::vector<int> shape = {2, 3, 4, 5};
      const int extent = shape[axis], inner = run.bottom[0]->count(axis + 1);
      shape[axis] = 2;
      ASSERT_EQ(run.top[0]->shape(), shape);
      const Doubles x = run.Bottom(0);
      for (int i = 0; i < run.top[0]->count(); ++i) {
        const int rank = i / inner % 2,
                  first = i / inner / 2 * extent * inner + i % inner;
        const int index = IndexOfRank(x, first, inner, extent, rank);
        EXPECT_EQ(run.Top()[i], values ? x[first + index * inner] : index) << i;
      }
    }
  }
}

TYPED_TEST(ArgMaxLayerTest, FewAxesBecomeThree) {
  LayerRun<TypeParam> run("type: 'ArgMax'", {{2, 7}});
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(), (std::vector<int>{2, 1, 1}));
}

TYPED_TEST(ArgMaxLayerTest, TiesAndNaN) {
  LayerRun<TypeParam> run(ArgMax("top_k: 4"), {{1, 4}});
  const double values[] = {std::nan(""), 3, -std::numeric_limits<double>::infinity(), 3};
  FillWith(run.bottom[0], Half::kData, [&](int i) { return values[i]; });
  run.Forward();
  EXPECT_EQ(run.Top(), (Doubles{3, 1, 2, 0}));
}

TEST(ArgMaxLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(ArgMax("top_k: 4"), {{2, 3}}, 1,
                   {"layer 'm' (ArgMax): top_k is 4, expected 1 to 3", "(2, 3)"});
  ExpectLayerError(ArgMax("top_k: 0"), {{2, 3}}, 1, {"top_k is 0"});
  ExpectLayerError(ArgMax("top_k: 3 axis: 0"), {{2, 3}}, 1,
                   {"expected 1 to 2", "axis 0"});
  LayerRun<float> run(ArgMax(""), {{2, 3}});
  run.Forward();
  EXPECT_THROW(run.Backward(), NotImplementedFailure);
  EXPECT_FALSE(run.layer->AllowForceBackward(0));
}

}  // namespace
}  // namespace test
}  // namespace caffe
