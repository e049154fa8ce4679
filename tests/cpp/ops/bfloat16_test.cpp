#include "caffe/ops/bfloat16.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "fill.hpp"
#include "ops/bfloat16.hpp"

namespace caffe {
namespace test {
namespace {

double ValueOf(Bfloat16 bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::vector<double> Converted(const std::vector<float>& values) {
  std::vector<Bfloat16> bits(values.size());
  ToBfloat16(values.data(), static_cast<std::int64_t>(values.size()), bits.data());
  std::vector<double> converted;
  for (Bfloat16 each : bits) converted.push_back(ValueOf(each));
  return converted;
}

TEST(Bfloat16Test, RoundsToTheNearest) {
  std::vector<float> values = {0.0f, -0.0f, 1.0f, -2.5f, 1e-40f, -1e-45f};
  // Ties, to both sides, and their neighbours.
  for (std::uint32_t bits :
       {0x3f808000u, 0x3f818000u, 0x3f807fffu, 0x3f808001u, 0x3fff8000u}) {
    values.push_back(std::bit_cast<float>(bits));
  }
  for (int i = 0; i < 100000; ++i) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(Bits(3, i)));
    if (std::isfinite(value)) values.push_back(value);
  }
  const std::vector<double> converted = Converted(values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(converted[i], RoundedToBfloat16(values[i])) << values[i];
    ASSERT_EQ(std::signbit(converted[i]), std::signbit(values[i])) << values[i];
  }
}

TEST(Bfloat16Test, KeepsWhatIsNoNumber) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<double> converted =
      Converted({infinity, -infinity, std::numeric_limits<float>::max(),
                 std::numeric_limits<float>::quiet_NaN(),
                 std::bit_cast<float>(0x7f800001u), std::bit_cast<float>(0xffffffffu)});
  EXPECT_EQ(converted[0], infinity);
  EXPECT_EQ(converted[1], -infinity);
  EXPECT_EQ(converted[2], infinity);
  for (int i = 3; i < 6; ++i) EXPECT_TRUE(std::isnan(converted[i]));
}

}  // namespace
}  // namespace test
}  // namespace caffe
