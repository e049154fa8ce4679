#include <cmath>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kUnit = "name: 'u' type: 'LSTMUnit'";

template <typename T>
LayerRun<T> MakeRun(int streams, int cells) {
  LayerRun<T> run(kUnit, {{1, streams, cells}, {1, streams, 4 * cells}, {1, streams}}, 2);
  Fill(run.bottom[1], 1, -3, 3);
  FillWith(run.bottom[2], Half::kData, [](int n) { return n % 3 != 0; });
  return run;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

template <typename T>
class LSTMUnitLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LSTMUnitLayerTest, Types);

TYPED_TEST(LSTMUnitLayerTest, Forward) {
  for (const int cells : {3, 211}) {
    auto run = MakeRun<TypeParam>(23, cells);
    run.Forward();
    const Doubles c_prev = run.Bottom(0), x = run.Bottom(1), cont = run.Bottom(2);
    Doubles c, h;
    for (int n = 0; n < 23; ++n) {
      const double* gates = &x[static_cast<size_t>(n) * 4 * cells];
      for (int d = 0; d < cells; ++d) {
        const double kept = cont[n] * Sigmoid(gates[cells + d]) * c_prev[n * cells + d];
        c.push_back(kept + Sigmoid(gates[d]) * std::tanh(gates[3 * cells + d]));
        h.push_back(Sigmoid(gates[2 * cells + d]) * std::tanh(c.back()));
      }
    }
    const auto tolerance = ToleranceOf<TypeParam>(OpKind::kTranscendental);
    ExpectClose(run.Top(0), c, tolerance, "c");
    ExpectClose(run.Top(1), h, tolerance, "h");
  }
}

TEST(LSTMUnitLayerTestDouble, Gradient) {
  for (const int bottom : {0, 1}) {
    auto run = MakeRun<double>(4, 2);
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top,
                                              bottom);
  }
}

TEST(LSTMUnitLayerTestFloat, MatchesDouble) {
  ExpectFloatMatchesDouble(kUnit, {{1, 5, 301}, {1, 5, 1204}, {1, 5}},
                           OpKind::kTranscendental, 1, 2, {true, true, false});
}

TEST(LSTMUnitLayerTestDouble, ANewSequenceForgetsNaN) {
  auto run = MakeRun<double>(1, 2);
  FillNaN(run.bottom[0]);
  run.Forward();
  run.Backward({true, true, false});
  for (const double c : run.Top(0)) EXPECT_TRUE(std::isfinite(c));
  EXPECT_EQ(run.BottomDiff(0), Doubles(2, 0));
  for (const double dx : run.BottomDiff(1)) EXPECT_TRUE(std::isfinite(dx));
}

TEST(LSTMUnitLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError(kUnit, {{2, 3, 4}, {1, 3, 16}, {1, 3}}, 2,
                   {"layer 'u' (LSTMUnit): bottom[0] (c_prev): shape (2, 3, 4)"});
  ExpectLayerError(kUnit, {{1, 3, 4}, {1, 3, 12}, {1, 3}}, 2,
                   {"bottom[1] (x): shape (1, 3, 12), expected (1, 3, 16)"});
  ExpectLayerError(kUnit, {{1, 3, 4}, {1, 3, 16}, {3}}, 2,
                   {"bottom[2] (cont): shape (3,), expected (1, 3)"});
  auto run = MakeRun<float>(2, 2);
  run.Forward();
  EXPECT_NE(ErrorOfAction([&] { run.Backward(); }).find("marks have no gradient"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
