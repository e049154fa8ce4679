#include "caffe/util/rng.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace caffe {
namespace test {
namespace {

std::vector<std::uint32_t> FirstDraws(std::uint64_t seed, std::uint64_t stream,
                                      std::uint64_t block) {
  Philox philox(seed, stream);
  philox.Seek(4 * block);
  return {philox(), philox(), philox(), philox()};
}

// The known answers published with the paper (Random123, kat_vectors, philox4x32 10).
TEST(PhiloxTest, KnownAnswers) {
  EXPECT_EQ(FirstDraws(0, 0, 0),
            (std::vector<std::uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(PhiloxTest, SeekGoesAnywhere) {
  Philox walking(5, 6);
  for (int i = 0; i < 100; ++i) {
    Philox jumping(5, 6);
    jumping.Seek(i);
    EXPECT_EQ(walking.counter(), static_cast<std::uint64_t>(i));
    EXPECT_EQ(jumping(), walking()) << i;
  }
}

TEST(PhiloxTest, DrawsAreThoseOfTheOperator) {
  // Starts and lengths on both sides of every block, also past 32 bits of counter.
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{64},
                                    (std::uint64_t{1} << 34) - 5}) {
    for (const std::size_t count : {0, 1, 4, 63, 64, 65, 1000}) {
      Philox philox(7, 8);
      std::vector<std::uint32_t> draws(count);
      philox.Draws(first, count, draws.data());
      EXPECT_EQ(philox.counter(), 0u);
      philox.Seek(first);
      for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(draws[i], philox()) << first << "+" << i;
    }
  }
}

TEST(PhiloxTest, SeedsAndStreamsDiffer) {
  EXPECT_NE(FirstDraws(1, 0, 0), FirstDraws(2, 0, 0));
  EXPECT_NE(FirstDraws(1, 0, 0), FirstDraws(1, 1, 0));
}

}  // namespace
}  // namespace test
}  // namespace caffe
