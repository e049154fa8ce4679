#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

struct Operation {
  const char* name;
  std::function<double(double)> term;
  bool mean;
};

const std::vector<Operation>& Operations() {
  static const std::vector<Operation> operations = {
      {"SUM", [](double x) { return x; }, false},
      {"ASUM", [](double x) { return std::fabs(x); }, false},
      {"SUMSQ", [](double x) { return x * x; }, false},
      {"MEAN", [](double x) { return x; }, true},
  };
  return operations;
}

std::string Reduction(const std::string& operation, int axis, double coeff = 1) {
  return Str("name: 'r' type: 'Reduction' reduction_param { operation: ", operation,
             " axis: ", axis, " coeff: ", coeff, " }");
}

template <typename T>
class ReductionLayerTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ReductionLayerTest, Types);

TYPED_TEST(ReductionLayerTest, Forward) {
  for (const Operation& operation : Operations()) {
    for (const std::vector<int>& shape : {std::vector<int>{2, 3, 4, 5}, {3, 5, 47, 53}}) {
      for (int axis = -4; axis < 4; ++axis) {
        LayerRun<TypeParam> run(Reduction(operation.name, axis, 0.75), {shape});
        SCOPED_TRACE(Str(operation.name, " axis ", axis));
        run.Forward();
        const int first = axis < 0 ? axis + 4 : axis;
        EXPECT_EQ(run.top[0]->shape(),
                  std::vector<int>(shape.begin(), shape.begin() + first));
        const int dim = run.bottom[0]->count(first);
        const Doubles x = run.Bottom(0);
        Doubles want(run.bottom[0]->count(0, first), 0);
        for (size_t i = 0; i < x.size(); ++i) want[i / dim] += operation.term(x[i]);
        for (double& value : want) value *= 0.75 / (operation.mean ? dim : 1);
        ExpectClose(run.Top(), want, ToleranceOf<TypeParam>(OpKind::kReduction, dim),
                    "top");
      }
    }
  }
}

TYPED_TEST(ReductionLayerTest, DefaultIsTheSumOfAll) {
  LayerRun<TypeParam> run("type: 'Reduction'", {{2, 3}});
  FillWith(run.bottom[0], Half::kData, [](int i) { return i; });
  run.Forward();
  EXPECT_EQ(run.top[0]->num_axes(), 0);
  EXPECT_EQ(run.Top()[0], 15);
}

TEST(ReductionLayerTestDouble, Gradient) {
  for (const Operation& operation : Operations()) {
    for (const int axis : {0, 1, 2}) {
      SCOPED_TRACE(Str(operation.name, " axis ", axis));
      LayerRun<double> run(Reduction(operation.name, axis, 0.75), {{2, 3, 4}});
      GradientChecker(0).CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
    }
  }
}

TEST(ReductionLayerTestFloat, MatchesDoubleAndTakesPackedInput) {
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 32 * 15;
  options.stays_packed = false;
  for (const Operation& operation : Operations()) {
    ExpectFloatMatchesDouble(Reduction(operation.name, 1), {{3, 5, 47, 53}},
                             OpKind::kReduction, 5 * 47 * 53);
    ExpectPackedMatchesPlain(Reduction(operation.name, 2), {{2, 32, 3, 5}}, options);
  }
}

TEST(ReductionLayerTestErrors, AxisOutOfRange) {
  ExpectLayerError(Reduction("SUM", 2), {{2, 3}}, 1, {"axis 2"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
