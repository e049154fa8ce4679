#include "address_space.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

namespace cuda_emulation::runtime {
namespace {

TEST(AddressSpaceTest, AddressesAreUsedAgainWhenThereAreNoMore) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  AddressSpace space(0, 64 * page);
  Allocation* kept = space.Allocate(10 * page);
  ASSERT_TRUE(kept);
  const std::uintptr_t kept_begin = kept->begin, kept_end = kept->pages_end;
  std::uintptr_t first = 0, latest = 0;
  bool again = false;
  for (int i = 0; i < 100; ++i) {
    Allocation* piece = space.Allocate(3 * page);
    ASSERT_TRUE(piece);
    ASSERT_TRUE(piece->pages_end <= kept_begin || piece->begin >= kept_end + page);
    if (first == 0) first = piece->begin;
    if (i > 0 && !again) {
      again = piece->begin < latest;
      if (again) {
        EXPECT_EQ(piece->begin, first);
      }
      EXPECT_TRUE(again || piece->begin > latest) << "freed addresses come last";
    }
    latest = piece->begin;
    space.Free(piece);
  }
  EXPECT_TRUE(again);
  EXPECT_EQ(space.Find(kept_begin), kept);
  EXPECT_FALSE(space.Allocate(60 * page));
  space.Free(kept);
  EXPECT_TRUE(space.Allocate(60 * page));
}

TEST(AddressSpaceTest, PlacesAreDescribed) {
  AddressSpace space(3);
  const Allocation* allocation = space.Allocate(512);
  const std::uintptr_t begin = allocation->begin;
  EXPECT_EQ(space.Describe(begin + 5), "an allocation of 512 bytes on device 3");
  EXPECT_EQ(space.Describe(begin + 520),
            "8 bytes past the end of an allocation of 512 bytes on device 3");
  EXPECT_EQ(space.Describe(begin + (1 << 30)),
            "memory that nobody allocated on device 3");
  space.Free(space.Find(begin));
  EXPECT_EQ(space.Describe(begin + 5),
            "freed memory, once an allocation of 512 bytes on device 3");
  EXPECT_FALSE(space.Find(begin));
}

}  // namespace
}  // namespace cuda_emulation::runtime
