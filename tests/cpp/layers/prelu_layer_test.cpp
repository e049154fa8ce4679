#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kRandomSlopes =
    "type: 'PReLU' prelu_param { filler { type: 'uniform' min: 0.1 max: 0.9 } }";
constexpr const char* kShared =
    "type: 'PReLU' prelu_param { channel_shared: true filler { value: 0.375 } }";

template <typename T>
class PReLULayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PReLULayerTest, Types);

template <typename T>
void CheckForward(const std::string& text, const std::vector<int>& shape) {
  SCOPED_TRACE(text);
  Caffe::set_random_seed(3);
  LayerRun<T> run(text, {shape});
  run.Forward();
  const Blob<T>& slopes = *run.layer->blobs()[0];
  const Doubles a = Values(slopes), x = run.Bottom(0);
  const int spatial = run.bottom[0]->count(2);
  Doubles want(x.size());
  for (int n = 0; n < shape[0]; ++n) {
    for (int c = 0; c < shape[1]; ++c) {
      for (int s = 0; s < spatial; ++s) {
        const int i = (n * shape[1] + c) * spatial + s;
        want[i] = x[i] > 0 ? x[i] : x[i] * a[slopes.count() == 1 ? 0 : c];
      }
    }
  }
  ExpectClose(run.Top(), want, ToleranceOf<T>(OpKind::kElementwise), "top");
}

TYPED_TEST(PReLULayerTest, Forward) {
  CheckForward<TypeParam>("type: 'PReLU'", {2, 3, 4, 5});
  CheckForward<TypeParam>(kRandomSlopes, {2, 3, 4, 5});
  CheckForward<TypeParam>(kRandomSlopes, {7, 10});
  CheckForward<TypeParam>(kRandomSlopes, {3, 17, 41, 43});
  CheckForward<TypeParam>(kShared, {2, 3, 4, 5});
  CheckForward<TypeParam>(kShared, {7, 10});
}

TYPED_TEST(PReLULayerTest, InPlace) {
  for (const char* text : {"type: 'PReLU'", kShared}) {
    ExpectInPlaceMatches<TypeParam>(text, {{2, 3, 4, 5}});
  }
}

TEST(PReLULayerTestDouble, DefaultSlopeIsAQuarterPerChannel) {
  LayerRun<double> run("type: 'PReLU'", {{2, 3, 4, 5}});
  run.SetUp();
  EXPECT_EQ(run.layer->blobs()[0]->shape(), std::vector<int>{3});
  EXPECT_EQ(Values(*run.layer->blobs()[0]), Doubles(3, 0.25));
  LayerRun<double> shared("type: 'PReLU' prelu_param { channel_shared: true }",
                          {{2, 3, 4, 5}});
  shared.SetUp();
  EXPECT_EQ(shared.layer->blobs()[0]->shape(), std::vector<int>());
}

TEST(PReLULayerTestDouble, Gradient) {
  for (const char* text : {kRandomSlopes, kShared}) {
    for (const Shapes& shapes : {Shapes{{2, 3, 2, 3}}, Shapes{{4, 5}}}) {
      SCOPED_TRACE(text);
      LayerRun<double> run(text, shapes);
      GradientChecker(0).CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
    }
  }
}

TEST(PReLULayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 2 * 24 * 25;
  for (const char* text : {kRandomSlopes, kShared}) {
    ExpectPackedMatchesPlain(text, {{2, 32, 24, 25}}, options);
    ExpectPackedMatchesPlain(text, {{2, 24, 5, 3}}, options, 8);
  }
}

TEST(PReLULayerTestFloat, MatchesDouble) {
  ExpectFloatMatchesDouble("type: 'PReLU'", {{3, 17, 41, 43}}, OpKind::kReduction,
                           3 * 41 * 43);
  ExpectFloatMatchesDouble(kShared, {{3, 17, 41, 43}}, OpKind::kReduction,
                           3 * 17 * 41 * 43);
}

TEST(PReLULayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(
      "name: 'p' type: 'PReLU'", {{5}}, 1,
      {"layer 'p' (PReLU): bottom[0]", "shape (5,)", "expected (N, C, ...)"});
  ExpectLayerError(
      "name: 'p' type: 'PReLU' blobs { shape { dim: 4 } data: [1, 1, 1, 1] }", {{2, 3}},
      1, {"layer 'p' (PReLU)", "shape (4,)", "expected 3 values"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
