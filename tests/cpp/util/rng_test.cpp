#include "caffe/util/rng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "tolerance.hpp"

namespace caffe {
namespace test {
namespace {

// Known answers of philox4x32 with 10 rounds from Random123's kat_vectors, which the
// paper's authors publish beside it.
TEST(PhiloxTest, GivesThePublishedAnswers) {
  const struct {
    Philox::Words counter;
    std::uint32_t key[2];
    Philox::Words answer;
  } vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      // Digits of pi.
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& v : vectors) {
    EXPECT_EQ(Philox::Block(v.counter, v.key[0], v.key[1]), v.answer);
  }
  Philox draws(0, 0);
  for (const std::uint32_t word : vectors[0].answer) EXPECT_EQ(draws(), word);
}

// Seed is the key, the stream the upper half of the counter, four draws a block.
TEST(PhiloxTest, DrawsAreTheBlocksInOrder) {
  Philox generator(0x0123456789abcdefu, 0xfedcba9876543210u);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const auto want =
        Philox::Block({block, 0, 0x76543210u, 0xfedcba98u}, 0x89abcdefu, 0x01234567u);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(generator(), want[i]) << block << " " << i;
  }
  EXPECT_EQ(generator.counter(), 12u);
}

TEST(PhiloxTest, SeekGoesAnywhere) {
  Philox walking(5, 6);
  for (int i = 0; i < 100; ++i) {
    Philox jumping(5, 6);
    jumping.Seek(i);
    EXPECT_EQ(walking.counter(), static_cast<std::uint64_t>(i));
    EXPECT_EQ(jumping(), walking()) << i;
    jumping.Seek(0);
    jumping.discard(i);
    EXPECT_EQ(jumping.counter(), static_cast<std::uint64_t>(i));
  }
  // Past 2^34 draws the second counter word moves.
  Philox far(7, 3);
  far.Seek(std::uint64_t{1} << 34);
  EXPECT_EQ(far(), Philox::Block({0, 1, 3, 0}, 7, 0)[0]);
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
      for (std::size_t i = 0; i < count; ++i)
        ASSERT_EQ(draws[i], philox()) << first << "+" << i;
    }
  }
}

TEST(PhiloxTest, EqualStateComparesEqual) {
  Philox a(1, 2), b(1, 2);
  a();
  EXPECT_FALSE(a == b);
  b();
  EXPECT_TRUE(a == b);
  a.seed(5);
  EXPECT_TRUE(a == Philox(5, 2));
  EXPECT_EQ(a.counter(), 0u);
}

TEST(PhiloxTest, SeedsAndStreamsDiffer) {
  Philox base(1, 0), seed(2, 0), stream(1, 1);
  const auto first = base();
  EXPECT_NE(first, seed());
  EXPECT_NE(first, stream());
}

// Every bit is set half the time.
TEST(PhiloxTest, BitsAreBalanced) {
  constexpr int kDraws = 20000;
  Philox generator(11);
  std::vector<int> ones(32, 0);
  for (int i = 0; i < kDraws; ++i) {
    const auto draw = generator();
    for (int bit = 0; bit < 32; ++bit) ones[bit] += draw >> bit & 1;
  }
  for (int bit = 0; bit < 32; ++bit) {
    EXPECT_LE(std::abs(ones[bit] - kDraws / 2), CountTolerance(kDraws, 0.5)) << bit;
  }
}

TEST(ShuffleTest, PermutesEvenlyAndRepeatably) {
  std::vector<int> first(50), second(50);
  std::iota(first.begin(), first.end(), 0);
  second = first;
  Philox a(3), b(3);
  shuffle(first.begin(), first.end(), &a);
  shuffle(second.begin(), second.end(), &b);
  EXPECT_EQ(first, second);
  std::sort(second.begin(), second.end());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(second[i], i);
  EXPECT_NE(first, second);

  // Each of 4 elements is first equally often.
  constexpr int kRuns = 8000;
  std::vector<int> count(4, 0);
  for (int run = 0; run < kRuns; ++run) {
    std::vector<int> values = {0, 1, 2, 3};
    shuffle(values.begin(), values.end(), &a);
    ++count[values[0]];
  }
  for (int n : count) EXPECT_LE(std::abs(n - kRuns / 4), CountTolerance(kRuns, 0.25));

  std::vector<int> none;
  shuffle(none.begin(), none.end(), &a);
}

}  // namespace
}  // namespace test
}  // namespace caffe
