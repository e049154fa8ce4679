#include "caffe/filler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "fill.hpp"
#include "layer_test.hpp"
#include "tolerance.hpp"

namespace caffe {
namespace {

using test::CountTolerance;
using test::ErrorOfAction;
using test::ExpectClose;
using test::OpKind;
using test::ToleranceOf;
using test::Values;
using testing::AllOf;
using testing::HasSubstr;

FillerParameter ParamFromText(const std::string& text) {
  FillerParameter param;
  if (!google::protobuf::TextFormat::ParseFromString(text, &param)) {
    throw ValueError("a test has a wrong filler text: " + text);
  }
  return param;
}

template <typename T>
std::vector<double> Filled(const std::string& text, const std::vector<int>& shape) {
  Caffe::set_random_seed(1701);
  Blob<T> blob(shape);
  test::FillNaN(&blob);
  std::unique_ptr<Filler<T>>(GetFiller<T>(ParamFromText(text)))->Fill(&blob);
  return Values(blob);
}

int CountIf(const std::vector<double>& values, double low, double high) {
  return static_cast<int>(std::count_if(values.begin(), values.end(),
                                        [&](double v) { return v >= low && v < high; }));
}

/// Tenths of [low, high] are hit equally often, and nothing lies outside.
void ExpectUniform(const std::vector<double>& values, double low, double high) {
  const double n = static_cast<double>(values.size());
  int inside = 0;
  for (int i = 0; i < 10; ++i) {
    const double from = low + (high - low) * i / 10,
                 to = low + (high - low) * (i + 1) / 10;
    const int count = CountIf(values, from, to);
    EXPECT_LE(std::fabs(count - n / 10), CountTolerance(n, 0.1)) << from << " to " << to;
    inside += count;
  }
  EXPECT_EQ(inside, static_cast<int>(n));
}

/// The shares of N(mean, std²) below -1, 0, 1 and 2 deviations.
void ExpectGaussian(const std::vector<double>& values, double mean, double std) {
  const double n = static_cast<double>(values.size());
  for (int z = -1; z <= 2; ++z) {
    const double share = 0.5 * std::erfc(-z / std::sqrt(2.0));
    const int count = CountIf(values, -INFINITY, mean + z * std);
    EXPECT_LE(std::fabs(count - n * share), CountTolerance(n, share)) << z;
  }
}

template <typename T>
class FillerTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(FillerTest, Types);

TYPED_TEST(FillerTest, Constant) {
  EXPECT_EQ(Filled<TypeParam>("value: 3.5", {2, 3}), std::vector<double>(6, 3.5));
  EXPECT_EQ(Filled<TypeParam>("type: 'constant'", {2}), std::vector<double>(2, 0));
}

TYPED_TEST(FillerTest, Uniform) {
  ExpectUniform(Filled<TypeParam>("type: 'uniform'", {10, 20, 10, 10}), 0, 1);
  ExpectUniform(Filled<TypeParam>("type: 'uniform' min: -3 max: 5", {20000}), -3, 5);
  EXPECT_EQ(Filled<TypeParam>("type: 'uniform' min: 2 max: 2", {3}),
            std::vector<double>(3, 2));
  EXPECT_THAT(
      ErrorOfAction([] { Filled<TypeParam>("type: 'uniform' min: 2 max: 1", {3}); }),
      HasSubstr("min <= max"));
}

TYPED_TEST(FillerTest, Gaussian) {
  ExpectGaussian(Filled<TypeParam>("type: 'gaussian'", {20000}), 0, 1);
  ExpectGaussian(Filled<TypeParam>("type: 'gaussian' mean: 3 std: 0.1", {40, 500}), 3,
                 0.1);
  EXPECT_NE(ErrorOfAction([] { Filled<TypeParam>("type: 'gaussian' std: -1", {3}); }),
            "");
}

// Of 50 outputs' inputs, `sparse` of 50 stay on average.
TYPED_TEST(FillerTest, SparseGaussianKeepsTheShareAskedFor) {
  const auto values = Filled<TypeParam>("type: 'gaussian' sparse: 5", {50, 400});
  const double n = static_cast<double>(values.size());
  const double kept =
      n - static_cast<double>(std::count(values.begin(), values.end(), 0.0));
  EXPECT_LE(std::fabs(kept - n / 10), CountTolerance(n, 0.1));
  std::vector<double> others;
  for (double v : values) {
    if (v != 0) others.push_back(v);
  }
  ExpectGaussian(others, 0, 1);
  EXPECT_THAT(
      ErrorOfAction([] { Filled<TypeParam>("type: 'xavier' sparse: 5", {3, 2}); }),
      AllOf(HasSubstr("xavier"), HasSubstr("sparse")));
}

TYPED_TEST(FillerTest, PositiveUnitballRowsSumToOne) {
  const auto values = Filled<TypeParam>("type: 'positive_unitball'", {8, 5, 7});
  std::vector<double> sums(8, 0);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_GE(values[i], 0);
    EXPECT_LE(values[i], 1);
    sums[i / 35] += values[i];
  }
  ExpectClose(sums, std::vector<double>(8, 1),
              ToleranceOf<TypeParam>(OpKind::kReduction, 35), "row sums");
}

// (N, C, H, W) = (20, 50, 3, 4): fan_in C H W = 600, fan_out N H W = 240.
struct Norm {
  const char* text;
  double fan;
};
const Norm kNorms[] = {{"", 600},
                       {" variance_norm: FAN_IN", 600},
                       {" variance_norm: FAN_OUT", 240},
                       {" variance_norm: AVERAGE", 420}};

// A U(-a, a) of variance 1 / fan.
TYPED_TEST(FillerTest, XavierBoundFollowsTheFan) {
  for (const Norm& norm : kNorms) {
    SCOPED_TRACE(norm.text);
    // The bound in the type the values have, or rounding could put one beyond.
    const TypeParam bound = std::sqrt(TypeParam(3) / static_cast<TypeParam>(norm.fan));
    ExpectUniform(
        Filled<TypeParam>(std::string("type: 'xavier'") + norm.text, {20, 50, 3, 4}),
        -bound, std::nextafter(bound, TypeParam(1)));
  }
}

TYPED_TEST(FillerTest, MsraVarianceIsTwoOverTheFan) {
  for (const Norm& norm : kNorms) {
    SCOPED_TRACE(norm.text);
    ExpectGaussian(
        Filled<TypeParam>(std::string("type: 'msra'") + norm.text, {20, 50, 3, 4}), 0,
        std::sqrt(2 / norm.fan));
  }
}

// Published examples: the kernels of FCN's upsampling by 2 (4x4) and of 3x3.
TYPED_TEST(FillerTest, BilinearKernels) {
  const auto tolerance = ToleranceOf<TypeParam>(OpKind::kElementwise);
  const struct {
    int size;
    std::vector<double> tent;
  } cases[] = {{1, {1}},
               {2, {0.5, 0.5}},
               {3, {0.5, 1, 0.5}},
               {4, {0.25, 0.75, 0.75, 0.25}},
               {5, {1 / 3.0, 2 / 3.0, 1, 2 / 3.0, 1 / 3.0}}};
  for (const auto& c : cases) {
    std::vector<double> want;
    for (int plane = 0; plane < 6; ++plane) {
      for (double y : c.tent) {
        for (double x : c.tent) want.push_back(y * x);
      }
    }
    ExpectClose(Filled<TypeParam>("type: 'bilinear'", {3, 2, c.size, c.size}), want,
                tolerance, "bilinear " + std::to_string(c.size));
  }
  for (const std::vector<int>& shape : {std::vector<int>{2, 2}, {1, 1, 3, 4}}) {
    EXPECT_THAT(ErrorOfAction([&] { Filled<TypeParam>("type: 'bilinear'", shape); }),
                AllOf(HasSubstr(ShapeText(shape)), HasSubstr("square")));
  }
}

TYPED_TEST(FillerTest, EqualSeedsFillEqually) {
  for (const char* type :
       {"uniform", "gaussian", "positive_unitball", "xavier", "msra"}) {
    const std::string text = Str("type: '", type, "'");
    EXPECT_EQ(Filled<TypeParam>(text, {5, 4}), Filled<TypeParam>(text, {5, 4})) << type;
  }
}

TYPED_TEST(FillerTest, RefusesWhatItCannotFill) {
  for (const char* type : {"constant", "uniform", "gaussian", "positive_unitball",
                           "xavier", "msra", "bilinear"}) {
    EXPECT_THAT(
        ErrorOfAction([&] { Filled<TypeParam>(Str("type: '", type, "'"), {3, 0}); }),
        AllOf(HasSubstr(type), HasSubstr("(3, 0)"), HasSubstr("empty")));
  }
  EXPECT_THAT(
      ErrorOfAction([] { GetFiller<TypeParam>(ParamFromText("type: 'xaviar'")); }),
      AllOf(HasSubstr("'xaviar'"), HasSubstr("closest"), HasSubstr("'xavier'")));
}

}  // namespace
}  // namespace caffe
