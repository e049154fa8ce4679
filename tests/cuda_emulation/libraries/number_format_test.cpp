#include "number_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace cuda_emulation {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::uint16_t Bits(NumberFormat format, double value) {
  std::uint16_t bits = 0;
  Store(format, &value, 1, &bits, 1);
  return bits;
}

/// IEEE 754's meaning of a 16-bit pattern with `fraction_bits` bits of fraction.
double Meaning(std::uint16_t bits, int fraction_bits) {
  const int exponent_bits = 15 - fraction_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
  const double fraction =
      (bits & ((1 << fraction_bits) - 1)) / std::pow(2.0, fraction_bits);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction == 0 ? sign * kInfinity : std::nan("");
  }
  if (exponent == 0) return sign * fraction * std::pow(2.0, 1 - bias);
  return sign * (1 + fraction) * std::pow(2.0, exponent - bias);
}

class SixteenBitsTest : public ::testing::TestWithParam<NumberFormat> {
 protected:
  int fraction_bits() const { return GetParam() == NumberFormat::kHalf ? 10 : 7; }
};

TEST_P(SixteenBitsTest, EveryPatternMeansWhatIeee754Says) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    const double want = Meaning(pattern, fraction_bits());
    const double got = LoadOne(GetParam(), &pattern);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << bits;
      ASSERT_TRUE(std::isnan(Meaning(Bits(GetParam(), got), fraction_bits()))) << bits;
      continue;
    }
    ASSERT_EQ(got, want) << bits;
    ASSERT_EQ(std::signbit(got), std::signbit(want)) << bits;
    ASSERT_EQ(Bits(GetParam(), got), pattern);
  }
}

TEST_P(SixteenBitsTest, WhatLiesBetweenTwoNumbersGoesToTheNearestOrTheEvenOne) {
  for (std::uint16_t bits = 0; Meaning(bits + 1, fraction_bits()) < kInfinity; ++bits) {
    const double below = Meaning(bits, fraction_bits());
    const double above = Meaning(bits + 1, fraction_bits());
    const double middle = (below + above) / 2;
    const std::uint16_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(Bits(GetParam(), middle), even);
    ASSERT_EQ(Bits(GetParam(), std::nextafter(middle, below)), bits);
    ASSERT_EQ(Bits(GetParam(), -std::nextafter(middle, above)), (bits + 1) | 0x8000);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, SixteenBitsTest,
                         ::testing::Values(NumberFormat::kHalf, NumberFormat::kBfloat16),
                         [](const auto& info) {
                           return info.param == NumberFormat::kHalf ? "Half" : "Bfloat16";
                         });

TEST(NumberFormatTest, WhatIsTooLargeBecomesInfinite) {
  EXPECT_EQ(Bits(NumberFormat::kHalf, 65519.0), 0x7bff);
  EXPECT_EQ(Bits(NumberFormat::kHalf, 65520.0), 0x7c00);
  EXPECT_EQ(Bits(NumberFormat::kHalf, -1e300), 0xfc00);
  EXPECT_EQ(Bits(NumberFormat::kBfloat16, 3.39e38), 0x7f7f);
  EXPECT_EQ(Bits(NumberFormat::kBfloat16, 3.4e38), 0x7f80);
}

TEST(NumberFormatTest, StepsSkipElements) {
  const std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  std::vector<double> values(2);
  Load(NumberFormat::kFloat, floats.data() + 1, 3, 2, values.data());
  EXPECT_EQ(values, (std::vector<double>{2, 5}));
  std::vector<float> target(6, 9);
  Store(NumberFormat::kFloat, values.data(), 2, target.data() + 5, -2);
  EXPECT_EQ(target, (std::vector<float>{9, 9, 9, 5, 9, 2}));
}

TEST(NumberFormatTest, Tf32HasTheRangeOfFloatAndTheBitsOfHalf) {
  std::vector<double> values = {1 + 0x1p-10, 1 + 0x1p-12, 1e38, 0x1p-126};
  Round(FactorPrecision::kTf32, &values);
  EXPECT_EQ(values[0], 1 + 0x1p-10);
  EXPECT_EQ(values[1], 1);
  EXPECT_NE(values[2], 1e38);
  EXPECT_EQ(static_cast<int>(std::log2(values[2])), static_cast<int>(std::log2(1e38)));
  EXPECT_EQ(values[3], 0x1p-126);
}

}  // namespace
}  // namespace cuda_emulation
