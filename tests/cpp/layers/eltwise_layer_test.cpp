#include <algorithm>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

std::string Eltwise(const std::string& param) {
  return "name: 'e' type: 'Eltwise' eltwise_param {" + param + "}";
}

Shapes Same(int bottoms, const std::vector<int>& shape) { return Shapes(bottoms, shape); }

template <typename T>
class EltwiseLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(EltwiseLayerTest, Types);

TYPED_TEST(EltwiseLayerTest, Sum) {
  for (int bottoms = 2; bottoms <= 5; ++bottoms) {
    for (const bool weighted : {false, true}) {
      std::string param;
      const double coeffs[] = {1, -0.5, 2, 0.25, -3};
      for (int b = 0; b < bottoms && weighted; ++b) param += Str(" coeff: ", coeffs[b]);
      SCOPED_TRACE(Str(bottoms, " bottoms,", param));
      LayerRun<TypeParam> run(Eltwise(param), Same(bottoms, {2, 3, 83, 97}));
      run.Forward();
      run.Backward();
      Doubles want(run.top[0]->count(), 0);
      for (int b = 0; b < bottoms; ++b) {
        const double c = weighted ? coeffs[b] : 1;
        const Doubles x = run.Bottom(b);
        Doubles dx = run.TopDiff();
        for (size_t i = 0; i < want.size(); ++i) {
          want[i] += c * x[i];
          dx[i] *= c;
        }
        ExpectClose(run.BottomDiff(b), dx, ToleranceOf<TypeParam>(OpKind::kElementwise),
                    "dx");
      }
      ExpectClose(run.Top(), want, ToleranceOf<TypeParam>(OpKind::kReduction, bottoms),
                  "top");
    }
  }
}

TYPED_TEST(EltwiseLayerTest, Product) {
  for (const bool stable : {true, false}) {
    SCOPED_TRACE(stable);
    LayerRun<TypeParam> run(Eltwise(std::string("operation: PROD stable_prod_grad: ") +
                                    (stable ? "true" : "false")),
                            Same(3, {2, 3, 4, 5}));
    run.Forward();
    run.Backward();
    const Doubles x[] = {run.Bottom(0), run.Bottom(1), run.Bottom(2)}, d = run.TopDiff();
    Doubles want(d.size()), dx[3];
    for (size_t i = 0; i < want.size(); ++i) {
      want[i] = x[0][i] * x[1][i] * x[2][i];
      for (int b = 0; b < 3; ++b) {
        dx[b].push_back(x[(b + 1) % 3][i] * x[(b + 2) % 3][i] * d[i]);
      }
    }
    const Tolerance tolerance = ToleranceOf<TypeParam>(OpKind::kElementwise);
    ExpectClose(run.Top(), want, tolerance, "top");
    for (int b = 0; b < 3; ++b) ExpectClose(run.BottomDiff(b), dx[b], tolerance, "dx");
  }
}

TYPED_TEST(EltwiseLayerTest, Maximum) {
  for (int bottoms = 2; bottoms <= 4; ++bottoms) {
    LayerRun<TypeParam> run(Eltwise("operation: MAX"), Same(bottoms, {2, 3, 4, 5}));
    run.Forward();
    run.Backward();
    for (int i = 0; i < run.top[0]->count(); ++i) {
      int winner = 0;
      for (int b = 1; b < bottoms; ++b) {
        if (run.Bottom(b)[i] > run.Bottom(winner)[i]) winner = b;
      }
      EXPECT_EQ(run.Top()[i], run.Bottom(winner)[i]);
      for (int b = 0; b < bottoms; ++b) {
        EXPECT_EQ(run.BottomDiff(b)[i], b == winner ? run.TopDiff()[i] : 0);
      }
    }
  }
}

// Exactly one bottom gets the gradient of a tie, the one that Caffe chooses.
TYPED_TEST(EltwiseLayerTest, MaximumOfEqualValues) {
  LayerRun<TypeParam> run(Eltwise("operation: MAX"), Same(3, {1}));
  for (auto* blob : run.bottom) blob->mutable_cpu_data()[0] = 2;
  run.Forward();
  run.Backward();
  EXPECT_EQ(run.BottomDiff(0)[0], 0);
  EXPECT_EQ(run.BottomDiff(1)[0], run.TopDiff()[0]);
  EXPECT_EQ(run.BottomDiff(2)[0], 0);
}

TYPED_TEST(EltwiseLayerTest, SumInPlaceOfAnyBottom) {
  for (int index = 0; index < 3; ++index) {
    ExpectInPlaceMatches<TypeParam>(Eltwise(""), Same(3, {2, 3, 4, 5}), index);
    ExpectInPlaceMatches<TypeParam>(Eltwise("coeff: 2 coeff: -1 coeff: 0.5"),
                                    Same(3, {2, 3, 4, 5}), index);
  }
  ExpectInPlaceMatches<TypeParam>(Eltwise(""), Same(2, {2, 3, 83, 97}), 1);
}

TEST(EltwiseLayerTestDouble, Gradient) {
  for (const char* param :
       {"", "coeff: 1 coeff: -0.5 coeff: 2", "operation: PROD",
        "operation: PROD stable_prod_grad: false", "operation: MAX"}) {
    SCOPED_TRACE(param);
    LayerRun<double> run(Eltwise(param), Same(3, {2, 3, 2, 2}));
    // Distinct within and, by the shift, between the bottoms: no ties, no zeros.
    for (int b = 0; b < 3; ++b) {
      FillDistinct(run.bottom[b], b);
      double* x = run.bottom[b]->mutable_cpu_data();
      for (int i = 0; i < run.bottom[b]->count(); ++i) x[i] += 0.25 / 24 * b;
    }
    GradientChecker().CheckGradientEltwise(run.layer.get(), run.bottom, run.top);
  }
}

TEST(EltwiseLayerTestDouble, GradientOfOneBottom) {
  for (int bottom = 0; bottom < 2; ++bottom) {
    LayerRun<double> run(Eltwise("operation: PROD"), Same(2, {2, 3}));
    GradientChecker().CheckGradientExhaustive(run.layer.get(), run.bottom, run.top,
                                              bottom);
  }
}

TEST(EltwiseLayerTestFloat, Packed) {
  PackedCase options;
  options.kind = OpKind::kElementwise;
  for (const char* param :
       {"", "coeff: 2 coeff: -1", "operation: PROD",
        "operation: PROD stable_prod_grad: false", "operation: MAX"}) {
    ExpectPackedMatchesPlain(Eltwise(param), Same(2, {2, 32, 24, 25}), options);
    ExpectPackedMatchesPlain(Eltwise(param), Same(2, {2, 24, 3, 5}), options, 8);
  }
  ExpectPackedMatchesPlain(Eltwise(""), Same(4, {2, 32, 3, 5}), options);
}

TEST(EltwiseLayerTestErrors, SaysWhatIsWrong) {
  ExpectLayerError("name: 'e' type: 'Eltwise' bottom: 'a' bottom: 'b'",
                   {{2, 3, 4, 5}, {2, 3, 4, 4}}, 1,
                   {"layer 'e' (Eltwise): bottom[1] 'b': shape (2, 3, 4, 4), expected "
                    "(2, 3, 4, 5) like bottom[0]"});
  ExpectLayerError(Eltwise("coeff: 1"), Same(2, {2}), 1,
                   {"1 coeff value(s), expected 2"});
  ExpectLayerError(Eltwise("operation: MAX coeff: 1 coeff: 1"), Same(2, {2}), 1,
                   {"coeff values with operation MAX", "only SUM"});
  ExpectLayerError(Eltwise(""), {{2}}, 1, {"got 1 bottom blob(s), expected at least 2"});
  LayerRun<float> run(Eltwise("operation: PROD"), Same(2, {2}));
  run.InPlace();
  EXPECT_NE(ErrorOfAction([&] { run.SetUp(); }).find("give the top its own name"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
