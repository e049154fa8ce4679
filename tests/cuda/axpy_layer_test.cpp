// Axpy's device code, run by an emulation or on a GPU.

#include "caffe/layers/axpy_layer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gpu_mode.hpp"
#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kAxpy = "type: 'Axpy'";

template <typename T>
class AxpyDeviceTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(AxpyDeviceTest, FloatAndDouble);

struct Case {
  Shapes shapes;
  int rows, spatial;
};

// One position, fewer than a warp, a whole row of the released nets, and rows longer
// than a block that end inside a warp.
const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {{{2, 3, 1, 1}, {2, 3, 1, 1}, {2, 3, 1, 1}}, 6, 1},
      {{{1, 1}, {1, 1, 3, 5}, {1, 1, 3, 5}}, 1, 15},
      {{{2, 5}, {2, 5, 7, 7}, {2, 5, 7, 7}}, 10, 49},
      {{{1, 2, 1, 1}, {1, 2, 56, 56}, {1, 2, 56, 56}}, 2, 3136},
      {{{3, 2, 1, 1}, {3, 2, 23, 29}, {3, 2, 23, 29}}, 6, 667},
      {{{2, 2, 1, 1, 1}, {2, 2, 3, 4, 5}, {2, 2, 3, 4, 5}}, 4, 60},
  };
  return cases;
}

TYPED_TEST(AxpyDeviceTest, ForwardAndBackwardAreTheFormula) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.spatial);
    LayerRun<TypeParam> run(kAxpy, c.shapes);
    run.Forward();
    run.Backward();
    const Doubles a = run.Bottom(0), x = run.Bottom(1), y = run.Bottom(2);
    const Doubles dtop = run.TopDiff();
    Doubles top(x.size()), da(a.size(), 0), dx(x.size());
    for (int row = 0; row < c.rows; ++row) {
      for (int s = 0; s < c.spatial; ++s) {
        const int i = row * c.spatial + s;
        top[i] = a[row] * x[i] + y[i];
        da[row] += dtop[i] * x[i];
        dx[i] = a[row] * dtop[i];
      }
    }
    const Tolerance each = ToleranceOf<TypeParam>(OpKind::kElementwise);
    ExpectClose(run.Top(), top, each, "top");
    ExpectClose(run.BottomDiff(0), da,
                ToleranceOf<TypeParam>(OpKind::kReduction, c.spatial), "da");
    ExpectClose(run.BottomDiff(1), dx, each, "dx");
    ExpectClose(run.BottomDiff(2), dtop, ToleranceOf<TypeParam>(OpKind::kCopy), "dy");
  }
}

TYPED_TEST(AxpyDeviceTest, Gradient) {
  for (const int bottom : {-1, 0, 1, 2}) {
    LayerRun<double> run(kAxpy, {{2, 3, 1, 1}, {2, 3, 2, 2}, {2, 3, 2, 2}});
    GradientChecker checker;
    checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, bottom);
    EXPECT_GT(checker.compared(), 0);
  }
}

TYPED_TEST(AxpyDeviceTest, WorksInPlaceOfY) {
  ExpectInPlaceMatches<TypeParam>(kAxpy, {{2, 3, 1, 1}, {2, 3, 7, 7}, {2, 3, 7, 7}}, 2);
}

}  // namespace
}  // namespace test
}  // namespace caffe
