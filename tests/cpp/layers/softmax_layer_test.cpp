#include "caffe/layers/softmax_layer.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Softmax(const std::string& param = "") {
  return "name: 's' type: 'Softmax' softmax_param { " + param + " }";
}

Doubles Reference(const std::vector<int>& shape, int axis, const Doubles& x) {
  int inner = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const int channels = shape[axis];
  Doubles y(x.size());
  for (std::size_t first = 0; first < x.size(); ++first) {
    if (first / inner % channels != 0) continue;
    long double sum = 0;
    for (int c = 0; c < channels; ++c) {
      sum += std::exp(static_cast<long double>(x[first + c * inner]));
    }
    for (int c = 0; c < channels; ++c) {
      const std::size_t i = first + c * inner;
      y[i] = static_cast<double>(std::exp(static_cast<long double>(x[i])) / sum);
    }
  }
  return y;
}

struct LayerCase {
  std::string param;
  std::vector<int> shape;
  int axis;
};

const LayerCase kCases[] = {
    {"", {3, 10}, 1},
    {"", {2, 5, 3, 4}, 1},
    {"axis: 0", {4, 3}, 0},
    {"axis: 0", {7}, 0},
    {"axis: 2", {2, 3, 4}, 2},
    {"axis: -1", {2, 3, 4, 5}, 3},
    {"axis: -3", {2, 6, 2, 3}, 1},
    // The attention of SKNet: two branches, C channels behind.
    {"axis: 1", {3, 2, 128, 1}, 1},
    {"", {2, 1, 3, 3}, 1},
    // Many positions and many classes.
    {"", {1, 3, 40, 50}, 1},
    {"", {2, 1000}, 1},
};

template <typename T>
class SoftmaxLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SoftmaxLayerTest, Types);

TYPED_TEST(SoftmaxLayerTest, ForwardAndBackward) {
  using T = TypeParam;
  for (const LayerCase& c : kCases) {
    SCOPED_TRACE(Str(c.param, " on ", ShapeText(c.shape)));
    LayerRun<T> run(Softmax(c.param), {c.shape});
    Fill(run.bottom[0], 1, -4, 4);
    run.Forward();
    const Doubles y = Reference(c.shape, c.axis, run.Bottom(0));
    const Tolerance tolerance = ToleranceOf<T>(OpKind::kLoss, c.shape[c.axis]);
    ExpectClose(run.Top(), y, tolerance, "top");
    run.Backward();
    // dx_i = Σ_j dy_j y_j (δ_ij - y_i)
    int inner = 1;
    for (std::size_t i = c.axis + 1; i < c.shape.size(); ++i) inner *= c.shape[i];
    const int channels = c.shape[c.axis];
    const Doubles dy = run.TopDiff();
    Doubles dx(y.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const int class_of_i = static_cast<int>(i / inner % channels);
      const std::size_t first = i - static_cast<std::size_t>(class_of_i) * inner;
      for (int j = 0; j < channels; ++j) {
        const double delta = j == class_of_i;
        dx[i] += dy[first + j * inner] * y[first + j * inner] * (delta - y[i]);
      }
    }
    ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
  }
}

TYPED_TEST(SoftmaxLayerTest, LargeInputsDoNotOverflow) {
  using T = TypeParam;
  LayerRun<T> run(Softmax(), {{3, 3}});
  const double big = std::numeric_limits<T>::max() / 4;
  const Doubles x = {big, big, -big, -big, -big, -big, 1000, 999, -1000};
  FillWith(run.bottom[0], Half::kData, [&](int i) { return x[i]; });
  run.Forward();
  const double e = std::exp(-1.0);
  ExpectClose(run.Top(),
              {0.5, 0.5, 0, 1.0 / 3, 1.0 / 3, 1.0 / 3, 1 / (1 + e), e / (1 + e), 0},
              ToleranceOf<T>(OpKind::kLoss, 3), "top");
}

TEST(SoftmaxGradientTest, EveryAxis) {
  for (const std::string axis : {"0", "1", "2", "-1"}) {
    LayerRun<double> run(Softmax("axis: " + axis), {{2, 3, 4}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TYPED_TEST(SoftmaxLayerTest, InPlace) {
  ExpectInPlaceMatches<TypeParam>(Softmax(), {{2, 5, 3, 4}});
}

TEST(SoftmaxPackedTest, MatchesPlain) {
  PackedCase options;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Softmax(), {{2, 32, 5, 4}}, options);
  ExpectPackedMatchesPlain(Softmax("axis: 2"), {{2, 32, 5, 4}}, options);
}

TEST(SoftmaxErrorTest, BadInput) {
  ExpectLayerError(Softmax("axis: 2"), {{3, 4}}, 1,
                   {"axis 2 of shape (3, 4)", "-2 to 1"});
  ExpectLayerError(Softmax("axis: -3"), {{3, 4}}, 1, {"axis -3"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
