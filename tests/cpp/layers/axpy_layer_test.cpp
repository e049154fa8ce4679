#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kAxpy = "name: 'se_add' type: 'Axpy'";

template <typename T>
class AxpyLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(AxpyLayerTest, Types);

// Shapes of a, x and y for an N x C x spatial tensor.
Shapes AxpyShapes(const std::vector<int>& shape, bool four_axes = true) {
  return {four_axes ? std::vector<int>{shape[0], shape[1], 1, 1}
                    : std::vector<int>{shape[0], shape[1]},
          shape, shape};
}

template <typename T>
void CheckValuesAndGradients(const Shapes& shapes) {
  SCOPED_TRACE(ShapeText(shapes[1]));
  LayerRun<T> run(kAxpy, shapes);
  run.Forward();
  run.Backward();
  ASSERT_EQ(run.top[0]->shape(), shapes[1]);
  const Doubles a = run.Bottom(0), x = run.Bottom(1), y = run.Bottom(2),
                d = run.TopDiff();
  const int rows = shapes[1][0] * shapes[1][1];
  const int spatial = run.bottom[1]->count(2);
  Doubles top(x.size()), da(rows, 0), dx(x.size());
  for (int row = 0; row < rows; ++row) {
    for (int s = 0; s < spatial; ++s) {
      const int i = row * spatial + s;
      top[i] = a[row] * x[i] + y[i];
      da[row] += d[i] * x[i];
      dx[i] = a[row] * d[i];
    }
  }
  ExpectClose(run.Top(), top, ToleranceOf<T>(OpKind::kElementwise), "top");
  ExpectClose(run.BottomDiff(0), da, ToleranceOf<T>(OpKind::kReduction, spatial), "da");
  ExpectClose(run.BottomDiff(1), dx, ToleranceOf<T>(OpKind::kElementwise), "dx");
  ExpectClose(run.BottomDiff(2), d, ToleranceOf<T>(OpKind::kCopy), "dy");
}

TYPED_TEST(AxpyLayerTest, ValuesAndGradients) {
  CheckValuesAndGradients<TypeParam>(AxpyShapes({2, 3, 4, 5}));
  CheckValuesAndGradients<TypeParam>(AxpyShapes({2, 3, 4, 5}, false));
  CheckValuesAndGradients<TypeParam>(AxpyShapes({1, 1, 1, 1}));
  CheckValuesAndGradients<TypeParam>(AxpyShapes({3, 5}, false));
  CheckValuesAndGradients<TypeParam>(AxpyShapes({2, 3, 2, 3, 4}));
  CheckValuesAndGradients<TypeParam>(AxpyShapes({2, 256, 14, 14}));
}

TYPED_TEST(AxpyLayerTest, InPlaceOfY) {
  ExpectInPlaceMatches<TypeParam>(kAxpy, AxpyShapes({2, 3, 4, 5}), 2);
}

TEST(AxpyLayerTestDouble, Gradient) {
  for (const bool four_axes : {true, false}) {
    LayerRun<double> run(kAxpy, AxpyShapes({2, 3, 2, 3}, four_axes));
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

// Each gradient can be asked for alone, and the others' diffs then stay untouched.
TEST(AxpyLayerTestDouble, GradientOfOneBottom) {
  for (int bottom = 0; bottom < 3; ++bottom) {
    LayerRun<double> run(kAxpy, AxpyShapes({2, 3, 2, 3}));
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top,
                                              bottom);
  }
}

TEST(AxpyLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 24 * 25;
  ExpectPackedMatchesPlain(kAxpy, AxpyShapes({2, 32, 24, 25}), options);
  ExpectPackedMatchesPlain(kAxpy, AxpyShapes({2, 32, 3, 5}, false), options);
  ExpectPackedMatchesPlain(kAxpy, AxpyShapes({2, 8, 3, 5}), options, 8);
}

TEST(AxpyLayerTestErrors, NamesTheBottomsAndTheirOrder) {
  ExpectLayerError(kAxpy, {{2, 3, 1, 1}, {2, 3, 4, 5}}, 1,
                   {"layer 'se_add' (Axpy): got 2 bottom blob(s), expected 3",
                    "a (the per-channel scale, N x C), x and y"});
  ExpectLayerError(
      "name: 'se_add' type: 'Axpy' bottom: 's' bottom: 'branch' bottom: 'id'",
      {{2, 3, 1, 1}, {2, 3, 2, 2}, {2, 3, 4, 5}}, 1,
      {"layer 'se_add' (Axpy): bottom[1] 'branch': shape (2, 3, 2, 2), expected (2, 3, "
       "4, 5) "
       "like bottom[2]. Bottoms are a, x, y in that order."});
  ExpectLayerError(
      kAxpy, {{2, 4, 1, 1}, {2, 3, 4, 5}, {2, 3, 4, 5}}, 1,
      {"bottom[0]", "shape (2, 4, 1, 1)", "expected (2, 3, 1, 1) or (2, 3)"});
  ExpectLayerError(kAxpy, {{2, 3, 4, 5}, {2, 3, 4, 5}, {2, 3, 4, 5}}, 1,
                   {"bottom[0]", "shape (2, 3, 4, 5)"});
  ExpectLayerError(kAxpy, {{2}, {2}, {2}}, 1, {"bottom[2]", "expected (N, C, H, W)"});
}

TEST(AxpyLayerTestErrors, OnlyYWorksInPlace) {
  LayerRun<float> run(kAxpy, AxpyShapes({2, 3, 4, 5}));
  run.InPlace(1);
  const std::string message = ErrorOfAction([&] { run.SetUp(); });
  EXPECT_NE(message.find("cannot work in place, only of bottom[2] (y)"),
            std::string::npos)
      << message;
}

}  // namespace
}  // namespace test
}  // namespace caffe
