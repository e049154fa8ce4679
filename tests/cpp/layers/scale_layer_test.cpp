#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kFillers =
    " filler { type: 'uniform' min: -2 max: 2 } bias_filler { type: 'uniform' } ";

std::string Learned(const std::string& param) {
  return "name: 's' type: 'Scale' scale_param {" + param + kFillers + "}";
}
std::string Given(const std::string& param) {
  return "name: 's' type: 'Scale' scale_param {" + param +
         " bias_filler { type: 'uniform' } }";
}

struct ScaleCase {
  std::string text;
  Shapes shapes;
  int axis, axes;  // of bottom[0], covered by the factors
  bool bias;
};

std::vector<ScaleCase> Cases() {
  const std::vector<int> x = {2, 3, 4, 5};
  return {
      {"name: 's' type: 'Scale'", {x}, 1, 1, false},
      {Learned(""), {x}, 1, 1, false},
      {Learned("bias_term: true"), {x}, 1, 1, true},
      {Learned("axis: 2 num_axes: 2 bias_term: true"), {x}, 2, 2, true},
      {Learned("axis: -1 num_axes: 1"), {x}, 3, 1, false},
      {Learned("axis: 1 num_axes: -1 bias_term: true"), {x}, 1, 3, true},
      {Learned("axis: 0 num_axes: 4"), {x}, 0, 4, false},
      {Learned("num_axes: 0 bias_term: true"), {x}, 0, 0, true},
      {Learned("bias_term: true"), {{7, 6}}, 1, 1, true},
      {Learned("bias_term: true"), {{3, 48, 17, 19}}, 1, 1, true},
      {Given("axis: 0"), {x, {2, 3}}, 0, 2, false},
      {Given("axis: 0 bias_term: true"), {x, {2, 3}}, 0, 2, true},
      {Given("axis: 0"), {x, {2}}, 0, 1, false},
      {Given("axis: 1 bias_term: true"), {x, {3, 4}}, 1, 2, true},
      {Given("axis: 0"), {x, x}, 0, 4, false},
      {Given("axis: 1"), {x, {}}, 0, 0, false},
      {Given("axis: 0"), {{2, 256, 14, 14}, {2, 256}}, 0, 2, false},
  };
}

// Index of the factor that goes with element i.
int CoefficientOf(int i, const std::vector<int>& shape, int axis, int axes) {
  int inner = 1, covered = 1;
  for (int d = axis + axes; d < static_cast<int>(shape.size()); ++d) inner *= shape[d];
  for (int d = axis; d < axis + axes; ++d) covered *= shape[d];
  return axes == 0 ? 0 : i / inner % covered;
}

template <typename T>
void CheckCase(const ScaleCase& c) {
  SCOPED_TRACE(c.text);
  Caffe::set_random_seed(5);
  LayerRun<T> run(c.text, c.shapes);
  run.Forward();
  run.Backward();
  const bool learned = c.shapes.size() == 1;
  const Blob<T>& factors = learned ? *run.layer->blobs()[0] : *run.bottom[1];
  ASSERT_EQ(run.layer->blobs().size(), static_cast<size_t>(learned + c.bias));
  const Doubles a = Values(factors), x = run.Bottom(0), d = run.TopDiff();
  const Doubles b = c.bias ? Values(*run.layer->blobs().back()) : Doubles(a.size(), 0);
  Doubles top(x.size()), dx(x.size()), da(a.size(), 0), db(a.size(), 0);
  for (size_t i = 0; i < x.size(); ++i) {
    const int j = CoefficientOf(static_cast<int>(i), c.shapes[0], c.axis, c.axes);
    top[i] = a[j] * x[i] + b[j];
    dx[i] = a[j] * d[i];
    da[j] += x[i] * d[i];
    db[j] += d[i];
  }
  const auto sum = ToleranceOf<T>(OpKind::kReduction, x.size() / a.size());
  ExpectClose(run.Top(), top, ToleranceOf<T>(OpKind::kElementwise), "top");
  ExpectClose(run.BottomDiff(0), dx, ToleranceOf<T>(OpKind::kElementwise), "dx");
  ExpectClose(Values(factors, Half::kDiff), da, sum, "da");
  if (c.bias) ExpectClose(Values(*run.layer->blobs().back(), Half::kDiff), db, sum, "db");
}

template <typename T>
class ScaleLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ScaleLayerTest, Types);

TYPED_TEST(ScaleLayerTest, ValuesAndGradients) {
  for (const ScaleCase& c : Cases()) CheckCase<TypeParam>(c);
}

TYPED_TEST(ScaleLayerTest, InPlace) {
  ExpectInPlaceMatches<TypeParam>("type: 'Scale' scale_param { filler { value: -1.5 } }",
                                  {{2, 3, 4, 5}});
  ExpectInPlaceMatches<TypeParam>(
      "type: 'Scale' scale_param { bias_term: true filler { value: -1.5 } "
      "bias_filler { value: 0.75 } }",
      {{2, 3, 4, 5}});
  ExpectInPlaceMatches<TypeParam>("type: 'Scale' scale_param { axis: 0 }",
                                  {{2, 3, 4, 5}, {2, 3}});
}

TEST(ScaleLayerTestDouble, DefaultIsOneFactorPerChannelOfValueOne) {
  LayerRun<double> run("type: 'Scale' scale_param { bias_term: true }", {{2, 3, 4, 5}});
  run.SetUp();
  EXPECT_EQ(run.layer->blobs()[0]->shape(), std::vector<int>{3});
  EXPECT_EQ(Values(*run.layer->blobs()[0]), Doubles(3, 1));
  EXPECT_EQ(Values(*run.layer->blobs()[1]), Doubles(3, 0));
}

TEST(ScaleLayerTestDouble, Gradient) {
  const Shapes x = {{2, 3, 2, 2}};
  for (const char* param : {"bias_term: true", "axis: 2 num_axes: 1", "num_axes: 0",
                            "axis: 0 num_axes: -1 bias_term: true"}) {
    SCOPED_TRACE(param);
    LayerRun<double> run(Learned(param), x);
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
  LayerRun<double> pair(Given("axis: 0 bias_term: true"), {{2, 3, 2, 2}, {2, 3}});
  GradientChecker().CheckGradientExhaustive(pair.layer.get(), pair.bottom, pair.top);
  for (int bottom = 0; bottom < 2; ++bottom) {
    LayerRun<double> one(Given("axis: 0"), {{2, 3, 2, 2}, {2, 3}});
    GradientChecker().CheckGradientExhaustive(one.layer.get(), one.bottom, one.top,
                                              bottom);
  }
}

TEST(ScaleLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 2 * 24 * 25;
  const std::string constant =
      "type: 'Scale' scale_param { bias_term: true filler { value: -1.5 } "
      "bias_filler { value: 0.75 } ";
  ExpectPackedMatchesPlain(constant + "}", {{2, 32, 24, 25}}, options);
  ExpectPackedMatchesPlain(constant + "}", {{2, 24, 3, 5}}, options, 8);
  ExpectPackedMatchesPlain(constant + "num_axes: 0 }", {{2, 32, 3, 5}}, options);
  ExpectPackedMatchesPlain("type: 'Scale' scale_param { axis: 0 }",
                           {{2, 32, 24, 25}, {2, 32}}, options);
  // Factors along other axes need plain data; the values are the same.
  options.stays_packed = false;
  ExpectPackedMatchesPlain(constant + "axis: 2 }", {{2, 32, 3, 5}}, options);
  ExpectPackedMatchesPlain("type: 'Scale' scale_param { axis: 0 }",
                           {{2, 32, 3, 5}, {2, 32, 3, 5}}, options);
}

TEST(ScaleLayerTestErrors, SaysWhichShapeIsWrong) {
  ExpectLayerError(
      "name: 's' type: 'Scale' bottom: 'x' bottom: 'a' scale_param { axis: 0 }",
      {{2, 3, 4, 5}, {2, 4}}, 1,
      {"layer 's' (Scale): bottom[1] 'a': shape (2, 4), expected (2, 3)",
       "bottom[0] 'x' of shape (2, 3, 4, 5) from axis 0 on"});
  ExpectLayerError(Given("axis: 3"), {{2, 3, 4, 5}, {5, 1}}, 1,
                   {"bottom[1]", "shape (5, 1), expected (5,)"});
  ExpectLayerError(
      Learned("axis: 2 num_axes: 3"), {{2, 3, 4, 5}}, 1,
      {"layer 's' (Scale): bottom[0]", "axis 2 and num_axes 3", "at most 2"});
  ExpectLayerError(
      "name: 's' type: 'Scale' scale_param { bias_term: true } "
      "blobs { shape { dim: 3 } data: [1, 1, 1] }",
      {{2, 3, 4, 5}}, 1, {"given 1 parameter blob(s), expected 2"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
