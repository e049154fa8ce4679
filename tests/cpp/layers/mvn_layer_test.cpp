#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string MVN(const std::string& params) {
  return "name: 'm' type: 'MVN' mvn_param { " + params + " }";
}

const std::vector<std::string> kParams = {
    "", "across_channels: true", "normalize_variance: false",
    "normalize_variance: false across_channels: true", "eps: 0.5"};

template <typename T>
class MVNLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(MVNLayerTest, Types);

TYPED_TEST(MVNLayerTest, Forward) {
  for (const std::string& params : kParams) {
    for (const std::vector<int>& shape : {std::vector<int>{2, 3, 4, 5}, {3, 5, 61, 67}}) {
      SCOPED_TRACE(params);
      LayerRun<TypeParam> run(MVN(params), {shape});
      Fill(run.bottom[0], 1, -1, 3);
      run.Forward();
      const Doubles x = run.Bottom(0);
      const bool across = params.find("across") != std::string::npos;
      const size_t length = run.bottom[0]->count(across ? 1 : 2);
      Doubles want(x.size());
      for (size_t begin = 0; begin < x.size(); begin += length) {
        double mean = 0, variance = 0;
        for (size_t i = begin; i < begin + length; ++i) mean += x[i] / length;
        for (size_t i = begin; i < begin + length; ++i) {
          variance += (x[i] - mean) * (x[i] - mean) / length;
        }
        const double eps = params == "eps: 0.5" ? 0.5 : 1e-9;
        const bool divides = params.find("variance: false") == std::string::npos;
        for (size_t i = begin; i < begin + length; ++i) {
          want[i] = (x[i] - mean) / (divides ? std::sqrt(variance) + eps : 1);
        }
      }
      ExpectClose(run.Top(), want, ToleranceOf<TypeParam>(OpKind::kNormalization, length),
                  "top");
    }
  }
}

TEST(MVNLayerTestDouble, Gradient) {
  for (const std::string& params : kParams) {
    SCOPED_TRACE(params);
    LayerRun<double> run(MVN(params), {{2, 2, 3, 2}});
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
  }
}

TEST(MVNLayerTestFloat, MatchesDoubleAndWorksInPlace) {
  for (const std::string& params : kParams) {
    ExpectFloatMatchesDouble(MVN(params), {{2, 3, 31, 37}}, OpKind::kNormalization,
                             31 * 37 * 3);
    ExpectInPlaceMatches<float>(MVN(params), {{2, 3, 4, 5}});
    ExpectInPlaceMatches<double>(MVN(params), {{2, 3, 4, 5}});
  }
}

TEST(MVNLayerTestDouble, EqualValuesGiveZeroAndFiniteGradients) {
  for (const std::string params : {"", "eps: 0"}) {
    LayerRun<double> run(MVN(params), {{1, 1, 2, 2}});
    FillWith(run.bottom[0], Half::kData, [](int) { return 3; });
    run.Forward();
    EXPECT_EQ(run.Top(), Doubles(4, 0));
    run.Backward();
    for (const double dx : run.BottomDiff(0)) EXPECT_TRUE(std::isfinite(dx));
  }
}

TEST(MVNLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(MVN(""), {{3}}, 1,
                   {"layer 'm' (MVN): bottom[0] has shape (3,), expected (N, C, ...)"});
  ExpectLayerError(MVN("eps: -1"), {{2, 3}}, 1,
                   {"mvn_param.eps is -1, expected at least 0"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
