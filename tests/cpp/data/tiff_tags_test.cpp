#include "caffe/data/tiff_tags.hpp"

#include <gtest/gtest.h>

#include <string>

#include "fill.hpp"

namespace caffe {
namespace test {
namespace {

std::string Number(std::uint64_t value, int size, bool big_endian) {
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(value >> 8 * (big_endian ? size - 1 - i : i)));
  }
  return bytes;
}

// A file with an orientation, kinds of four more channels, which do not fit into an
// entry of a TIFF, and a tag that is neither.
std::string Tiff(bool big_endian, bool big, int orientation, int alpha) {
  const int word = big ? 8 : 4;
  const auto number = [&](std::uint64_t value, int size) {
    return Number(value, size, big_endian);
  };
  const int start = big ? 16 : 8;
  const int behind = start + (big ? 8 : 2) + 3 * (4 + 2 * word) + word;
  std::string file = big_endian ? "MM" : "II";
  file += number(big ? 43 : 42, 2);
  if (big) file += number(8, 2) + number(0, 2);
  file += number(start, word) + number(3, big ? 8 : 2);
  const auto padded = [&](int value) {
    return number(value, 2) + std::string(word - 2, '\0');
  };
  file += number(259, 2) + number(3, 2) + number(1, word) + padded(2);
  file += number(274, 2) + number(3, 2) + number(1, word) + padded(orientation);
  std::string kinds = number(alpha, 2);
  for (int i = 0; i < 3; ++i) kinds += number(2, 2);
  file += number(338, 2) + number(3, 2) + number(4, word);
  file += big ? kinds : number(behind, word);
  file += number(0, word);
  return big ? file : file + kinds;
}

TEST(TiffTagsTest, ChangesOrientationAndAlphaAlone) {
  for (const bool big_endian : {false, true}) {
    for (const bool big : {false, true}) {
      const std::string want = Tiff(big_endian, big, 1, 1);
      EXPECT_TRUE(IsTiff(want));
      EXPECT_EQ(WithoutPixelTags(Tiff(big_endian, big, 6, 2)), want);
      EXPECT_EQ(WithoutPixelTags(want), want);
      const std::string unknown = Tiff(big_endian, big, 1, 0);
      EXPECT_EQ(WithoutPixelTags(unknown), unknown);
    }
  }
}

TEST(TiffTagsTest, AnyBytesKeepTheirNumber) {
  for (const bool big : {false, true}) {
    const std::string whole = Tiff(false, big, 6, 2);
    for (size_t size = 4; size < whole.size(); ++size) {
      EXPECT_EQ(WithoutPixelTags(whole.substr(0, size)).size(), size);
    }
    for (int round = 0; round < 2000; ++round) {
      std::string damaged = whole;
      for (int i = 0; i <= round % 3; ++i) {
        damaged[4 + Bits(round, 2 * i) % (damaged.size() - 4)] =
            static_cast<char>(Bits(round, 2 * i + 1));
      }
      EXPECT_EQ(WithoutPixelTags(damaged).size(), damaged.size());
    }
  }
}

TEST(TiffTagsTest, TellsTiffs) {
  EXPECT_FALSE(IsTiff(""));
  EXPECT_FALSE(IsTiff("II"));
  EXPECT_FALSE(IsTiff("MM*\0"));
}

}  // namespace
}  // namespace test
}  // namespace caffe
