#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Normalize(const std::string& param) {
  return "name: 'n' type: 'Normalize' bottom: 'x' norm_param {" + param + "}";
}

template <typename T>
class NormalizeLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(NormalizeLayerTest, Types);

template <typename T>
void Check(const std::string& param, bool whole_image, bool shared,
           const std::vector<int>& shape, double eps = 1e-10) {
  SCOPED_TRACE(param);
  LayerRun<T> run(Normalize(param), {shape});
  run.SetUp();
  const int channels = shape[1];
  Blob<T>* scale = run.layer->blobs()[0].get();
  ASSERT_EQ(scale->shape(), shared ? std::vector<int>{} : std::vector<int>{channels});
  Fill(scale, 7, 0.5, 3);
  run.Forward();
  run.Backward();
  ASSERT_EQ(run.top[0]->shape(), shape);
  const int spatial = run.bottom[0]->count(2);
  const Doubles x = run.Bottom(0), dy = run.TopDiff(), a = Values(*scale);
  Doubles y(x.size()), dx(x.size()), da(a.size(), 0);
  const auto index = [&](int n, int c, int s) {
    return (n * channels + c) * spatial + s;
  };
  for (int n = 0; n < shape[0]; ++n) {
    for (int s = 0; s < spatial; ++s) {
      for (int c = 0; c < channels; ++c) {
        double squares = eps, product = 0;
        for (int k = 0; k < channels; ++k) {
          for (int t = whole_image ? 0 : s; t < (whole_image ? spatial : s + 1); ++t) {
            const int j = index(n, k, t);
            squares += x[j] * x[j];
            product += a[shared ? 0 : k] * dy[j] * x[j];
          }
        }
        const int i = index(n, c, s);
        const double norm = std::sqrt(squares), factor = a[shared ? 0 : c];
        y[i] = factor * x[i] / norm;
        dx[i] = factor * dy[i] / norm - x[i] * product / (norm * norm * norm);
        da[shared ? 0 : c] += dy[i] * x[i] / norm;
      }
    }
  }
  const int terms = whole_image ? channels * spatial : channels;
  ExpectClose(run.Top(), y, ToleranceOf<T>(OpKind::kNormalization, terms), "top");
  ExpectClose(run.BottomDiff(0), dx, ToleranceOf<T>(OpKind::kNormalization, terms), "dx");
  ExpectClose(Values(*scale, Half::kDiff), da,
              ToleranceOf<T>(OpKind::kNormalization, shape[0] * channels * spatial),
              "dscale");
}

TYPED_TEST(NormalizeLayerTest, AllForms) {
  const std::string place = "across_spatial: false ", image = "across_spatial: true ";
  const std::string each = "channel_shared: false ", one = "channel_shared: true ";
  for (const auto& shape : Shapes{{2, 5, 3, 4}, {1, 3, 1, 1}, {3, 4}, {2, 3, 2, 2, 2}}) {
    Check<TypeParam>(place + each, false, false, shape);
    Check<TypeParam>(place + one, false, true, shape);
    Check<TypeParam>(image + each, true, false, shape);
    Check<TypeParam>("", true, true, shape);
  }
  Check<TypeParam>(place + "eps: 0.5", false, true, {2, 3, 2, 2}, 0.5);
  Check<TypeParam>(place + each, false, false, {2, 64, 19, 19});
}

TEST(NormalizeLayerTestDouble, ScaleStartsAtOneOrByItsFiller) {
  LayerRun<double> one(Normalize(""), {{1, 2, 1, 1}});
  one.SetUp();
  EXPECT_EQ(Values(*one.layer->blobs()[0]), Doubles{1});
  LayerRun<double> filled(
      Normalize("channel_shared: false scale_filler { type: 'constant' value: 20 }"),
      {{1, 2, 1, 1}});
  filled.SetUp();
  EXPECT_EQ(Values(*filled.layer->blobs()[0]), (Doubles{20, 20}));
}

/// (3, 4) has norm 5.
TEST(NormalizeLayerTestDouble, KnownValues) {
  LayerRun<double> run(
      Normalize("eps: 0 across_spatial: false scale_filler { value: 10 }"),
      {{1, 2, 1, 2}});
  const double x[] = {3, 0, 4, 0};
  FillWith(run.bottom[0], Half::kData, [&](int i) { return x[i]; });
  run.Forward();
  ExpectClose(run.Top(), {6, 0, 8, 0}, ToleranceOf<double>(OpKind::kElementwise), "top");
}

TEST(NormalizeLayerTestDouble, Gradient) {
  for (const char* param :
       {"across_spatial: false channel_shared: false scale_filler { type: 'uniform' "
        "min: 0.5 max: 2 }",
        "across_spatial: false", "channel_shared: false", "eps: 0.1"}) {
    SCOPED_TRACE(param);
    LayerRun<double> run(Normalize(param), {{2, 3, 2, 2}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(NormalizeLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kNormalization;
  options.terms = 32;
  options.stays_packed = false;
  ExpectPackedMatchesPlain(Normalize("across_spatial: false channel_shared: false"),
                           {{2, 32, 3, 5}}, options);
}

TEST(NormalizeLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(Normalize("eps: -1"), {{2, 3}}, 1,
                   {"layer 'n' (Normalize)", "eps is -1", "0 or more"});
  ExpectLayerError(Normalize(""), {{3}}, 1, {"shape (3,)", "(N, C, ...)"});
  EXPECT_NE(ErrorOfAction([] {
              LayerRun<float> run(Normalize("channel_shared: false"), {{2, 3, 1, 1}});
              run.Forward();
              run.bottom[0]->Reshape({2, 4, 1, 1});
              run.layer->Reshape(run.bottom, run.top);
            }).find("expected 4 values"),
            std::string::npos);
}

// L2Normalize.

constexpr char kL2[] = "name: 'l' type: 'L2Normalize' bottom: 'x'";

template <typename T>
class L2NormalizeLayerTest : public ::testing::Test {};
TYPED_TEST_SUITE(L2NormalizeLayerTest, Types);

TYPED_TEST(L2NormalizeLayerTest, AgainstLoops) {
  for (const auto& shape : Shapes{{3, 5}, {2, 3, 4, 5}, {4, 2}, {2, 512, 7, 7}}) {
    LayerRun<TypeParam> run(kL2, {shape});
    run.Forward();
    run.Backward();
    const int length = run.bottom[0]->count(1);
    const Doubles x = run.Bottom(0), dy = run.TopDiff();
    Doubles y(x.size()), dx(x.size());
    for (int n = 0; n < shape[0]; ++n) {
      double squares = 0, product = 0;
      for (int i = n * length; i < (n + 1) * length; ++i) {
        squares += x[i] * x[i];
        product += x[i] * dy[i];
      }
      const double norm = std::sqrt(squares);
      for (int i = n * length; i < (n + 1) * length; ++i) {
        y[i] = x[i] / norm;
        dx[i] = dy[i] / norm - x[i] * product / (norm * norm * norm);
      }
    }
    const Tolerance tolerance = ToleranceOf<TypeParam>(OpKind::kNormalization, length);
    ExpectClose(run.Top(), y, tolerance, "top");
    ExpectClose(run.BottomDiff(0), dx, tolerance, "dx");
  }
}

// The direction of one value is its sign, whatever its size.
TYPED_TEST(L2NormalizeLayerTest, OneValueBecomesItsSign) {
  LayerRun<TypeParam> run(kL2, {{4}});
  run.Forward();
  run.Backward();
  const Doubles x = run.Bottom(0);
  Doubles y;
  for (const double value : x) y.push_back(value < 0 ? -1 : 1);
  const Tolerance tolerance = ToleranceOf<TypeParam>(OpKind::kNormalization, 1);
  ExpectClose(run.Top(), y, tolerance, "top");
  for (std::size_t i = 0; i < x.size(); ++i) {
    // What rounding leaves of dy / |x| - dy / |x|.
    EXPECT_LE(std::abs(run.BottomDiff(0)[i]),
              8 * std::numeric_limits<TypeParam>::epsilon() *
                  std::abs(run.TopDiff()[i] / x[i]));
  }
}

TYPED_TEST(L2NormalizeLayerTest, ASampleOfZerosStaysZero) {
  LayerRun<TypeParam> run(kL2, {{2, 2}});
  FillWith(run.bottom[0], Half::kData, [](int i) { return i < 2 ? 0 : 4 * i - 5; });
  run.Forward();
  run.Backward();
  EXPECT_EQ(run.Top()[0], 0);
  EXPECT_EQ(run.Top()[1], 0);
  EXPECT_EQ(run.BottomDiff(0)[0], 0);
  // (3, 7)
  ExpectClose({run.Top()[2]}, {3 / std::sqrt(58.0)},
              ToleranceOf<TypeParam>(OpKind::kElementwise), "top");
}

TEST(L2NormalizeLayerTestDouble, Gradient) {
  LayerRun<double> run(kL2, {{3, 2, 2}});
  GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
}

}  // namespace
}  // namespace test
}  // namespace caffe
