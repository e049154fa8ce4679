#include "caffe/host_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "fill.hpp"

namespace caffe {
namespace {

constexpr std::size_t kLarge = std::size_t{1} << 20;

using Scope = HostMemoryPool::Scope;

bool IsZero(const void* pointer, std::size_t size) {
  const char* bytes = static_cast<const char*>(pointer);
  return std::all_of(bytes, bytes + size, [](char byte) { return byte == 0; });
}

TEST(HostMemoryTest, IsAlignedAndZeroFilled) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kLarge + 1, 5 * kLarge}) {
    void* pointer = AllocateHostMemory(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pointer) % 64, 0u);
    EXPECT_TRUE(IsZero(pointer, size));
    FreeHostMemory(pointer);
  }
  FreeHostMemory(nullptr);
}

TEST(HostMemoryTest, TooMuchIsAnError) {
  EXPECT_THROW(AllocateHostMemory(std::size_t{1} << 60), RuntimeFailure);
}

TEST(HostMemoryPoolTest, HandsOutAgainWhatWasFreed) {
  HostMemoryPool pool;
  const Scope scope(&pool);
  void* first = AllocateHostMemory(kLarge);
  std::memset(first, 1, kLarge);
  FreeHostMemory(first);
  EXPECT_EQ(pool.free_bytes(), kLarge);
  void* again = AllocateHostMemory(kLarge - 100);
  EXPECT_EQ(again, first);
  EXPECT_TRUE(IsZero(again, kLarge - 100));
  FreeHostMemory(again);
}

TEST(HostMemoryPoolTest, JoinsNeighboursAndSplitsThem) {
  HostMemoryPool pool;
  const Scope scope(&pool);
  std::vector<void*> buffers;
  for (int i = 0; i < 6; ++i) buffers.push_back(AllocateHostMemory(kLarge));
  void* const last = AllocateHostMemory(kLarge);
  // Freed from both ends: the last joins two spans.
  for (const int i : {0, 5, 1, 4, 2, 3}) FreeHostMemory(buffers[i]);
  EXPECT_EQ(pool.free_bytes(), 6 * kLarge);
  void* whole = AllocateHostMemory(6 * kLarge);
  EXPECT_EQ(whole, buffers[0]);
  EXPECT_EQ(pool.free_bytes(), 0u);
  FreeHostMemory(whole);
  void* half = AllocateHostMemory(3 * kLarge);
  void* other = AllocateHostMemory(3 * kLarge);
  EXPECT_EQ(half, buffers[0]);
  EXPECT_EQ(other, buffers[3]);
  for (void* pointer : {half, other, last}) FreeHostMemory(pointer);
}

TEST(HostMemoryPoolTest, IsForLargeBuffersOfItsThreadInItsScope) {
  HostMemoryPool pool;
  const auto free_bytes_after = [&pool](std::size_t size) {
    FreeHostMemory(AllocateHostMemory(size));
    return pool.free_bytes();
  };
  {
    const Scope scope(&pool);
    EXPECT_EQ(free_bytes_after(1000), 0u);
    std::thread([&] { EXPECT_EQ(free_bytes_after(kLarge), 0u); }).join();
    const Scope nothing_new(nullptr);
    EXPECT_EQ(free_bytes_after(kLarge), kLarge);
  }
  void* outside = AllocateHostMemory(kLarge);
  EXPECT_EQ(pool.free_bytes(), kLarge);
  FreeHostMemory(outside);
  EXPECT_EQ(pool.free_bytes(), kLarge);
}

TEST(HostMemoryPoolTest, TrimReturnsWhatWasNotNeededSinceTheLastOne) {
  HostMemoryPool pool;
  const Scope scope(&pool);
  void* kept = AllocateHostMemory(kLarge);
  FreeHostMemory(AllocateHostMemory(4 * kLarge));
  pool.Trim();
  EXPECT_EQ(pool.free_bytes(), 4 * kLarge);
  pool.Trim();
  EXPECT_EQ(pool.free_bytes(), 0u);
  std::memset(kept, 1, kLarge);
  FreeHostMemory(kept);
}

TEST(HostMemoryPoolTest, BuffersOutliveTheirPool) {
  void* survivor = nullptr;
  {
    HostMemoryPool pool;
    const Scope scope(&pool);
    survivor = AllocateHostMemory(kLarge);
  }
  std::memset(survivor, 1, kLarge);
  std::thread([survivor] { FreeHostMemory(survivor); }).join();
}

// Buffers of random sizes never overlap, and nothing is lost.
TEST(HostMemoryPoolTest, KeepsBuffersApart) {
  HostMemoryPool pool;
  const Scope scope(&pool);
  struct Taken {
    unsigned char* pointer;
    std::size_t size;
    unsigned char mark;
  };
  std::vector<Taken> taken;
  const auto give = [&](std::size_t i) {
    const auto [pointer, size, mark] = taken[i];
    EXPECT_TRUE(
        std::all_of(pointer, pointer + size, [mark](auto b) { return b == mark; }));
    FreeHostMemory(pointer);
    taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(i));
  };
  for (int step = 0; step < 600; ++step) {
    const std::uint64_t draw = test::Bits(1, step);
    if (taken.size() < 12 && draw % 3 != 0) {
      const std::size_t size = 65536 + draw / 3 % 400000;
      auto* pointer = static_cast<unsigned char*>(AllocateHostMemory(size, false));
      taken.push_back({pointer, size, static_cast<unsigned char>(step)});
      std::memset(pointer, step, size);
    } else if (!taken.empty()) {
      give(draw / 7 % taken.size());
    }
    if (step % 50 == 0) pool.Trim();
  }
  while (!taken.empty()) give(0);
  pool.Trim();
  pool.Trim();
  EXPECT_EQ(pool.free_bytes(), 0u);
}

}  // namespace
}  // namespace caffe
