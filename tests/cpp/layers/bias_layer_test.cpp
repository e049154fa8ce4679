#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

// Index of the bias that goes with element i.
int CoefficientOf(int i, const std::vector<int>& shape, int axis, int axes) {
  int inner = 1, covered = 1;
  for (int d = axis + axes; d < static_cast<int>(shape.size()); ++d) inner *= shape[d];
  for (int d = axis; d < axis + axes; ++d) covered *= shape[d];
  return axes == 0 ? 0 : i / inner % covered;
}

constexpr const char* kBias =
    "name: 'b' type: 'Bias' bias_param { filler { type: 'uniform' } ";

template <typename T>
void CheckBias(const std::string& text, const Shapes& shapes, int axis, int axes) {
  SCOPED_TRACE(text);
  LayerRun<T> run(text, shapes);
  run.Forward();
  run.Backward();
  const bool learned = shapes.size() == 1;
  const Blob<T>& bias = learned ? *run.layer->blobs()[0] : *run.bottom[1];
  const Doubles b = Values(bias), x = run.Bottom(0), d = run.TopDiff();
  Doubles top(x.size()), db(b.size(), 0);
  for (size_t i = 0; i < x.size(); ++i) {
    const int j = CoefficientOf(static_cast<int>(i), shapes[0], axis, axes);
    top[i] = x[i] + b[j];
    db[j] += d[i];
  }
  ExpectClose(run.Top(), top, ToleranceOf<T>(OpKind::kElementwise), "top");
  ExpectClose(run.BottomDiff(0), d, ToleranceOf<T>(OpKind::kCopy), "dx");
  ExpectClose(Values(bias, Half::kDiff), db,
              ToleranceOf<T>(OpKind::kReduction, x.size() / b.size()), "db");
}

template <typename T>
class BiasLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(BiasLayerTest, Types);

TYPED_TEST(BiasLayerTest, ValuesAndGradients) {
  const std::string learned = kBias;
  CheckBias<TypeParam>(learned + "}", {{2, 3, 4, 5}}, 1, 1);
  CheckBias<TypeParam>(learned + "axis: -2 num_axes: -1 }", {{2, 3, 4, 5}}, 2, 2);
  CheckBias<TypeParam>(learned + "num_axes: 0 }", {{2, 3, 4, 5}}, 0, 0);
  CheckBias<TypeParam>(learned + "}", {{3, 48, 17, 19}}, 1, 1);
  CheckBias<TypeParam>(learned + "axis: 0 }", {{2, 3, 4, 5}, {2, 3}}, 0, 2);
  CheckBias<TypeParam>(learned + "}", {{2, 3, 4, 5}, {3, 4}}, 1, 2);
}

TYPED_TEST(BiasLayerTest, InPlace) {
  ExpectInPlaceMatches<TypeParam>("type: 'Bias' bias_param { filler { value: 0.75 } }",
                                  {{2, 3, 4, 5}});
  ExpectInPlaceMatches<TypeParam>("type: 'Bias' bias_param { axis: 0 }",
                                  {{2, 3, 4, 5}, {2, 3}});
}

TEST(BiasLayerTestDouble, Gradient) {
  LayerRun<double> learned(std::string(kBias) + "}", {{2, 3, 2, 2}});
  GradientChecker().CheckGradientExhaustive(learned.layer.get(), learned.bottom,
                                            learned.top);
  LayerRun<double> given("type: 'Bias' bias_param { axis: 0 }", {{2, 3, 2, 2}, {2, 3}});
  GradientChecker().CheckGradientExhaustive(given.layer.get(), given.bottom, given.top);
}

TEST(BiasLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 2 * 24 * 25;
  ExpectPackedMatchesPlain("type: 'Bias' bias_param { filler { value: 0.75 } }",
                           {{2, 32, 24, 25}}, options);
  ExpectPackedMatchesPlain("type: 'Bias' bias_param { axis: 0 }", {{2, 8, 3, 5}, {2, 8}},
                           options, 8);
}

TEST(BiasLayerTestErrors, SaysWhichShapeIsWrong) {
  ExpectLayerError("name: 'b' type: 'Bias'", {{2, 3, 4, 5}, {4}}, 1,
                   {"layer 'b' (Bias): bottom[1]", "shape (4,), expected (3,)"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
