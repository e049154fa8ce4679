#include "caffe/syncedmem.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "caffe/device.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace {

constexpr int kCount = 10;
constexpr std::size_t kBytes = kCount * sizeof(int);

/// A layout of its own: the elements in reverse.
class Reversed : public PackedTensor {
 public:
  explicit Reversed(std::vector<int> plain) : values_(std::move(plain)) {
    std::reverse(values_.begin(), values_.end());
  }
  void UnpackTo(void* plain) const override {
    std::reverse_copy(values_.begin(), values_.end(), static_cast<int*>(plain));
    ++unpacked_;
  }
  std::size_t bytes() const override { return values_.size() * sizeof(int); }
  int unpacked() const { return unpacked_; }

 private:
  std::vector<int> values_;
  mutable int unpacked_ = 0;
};

std::vector<int> Sequence(int start) {
  std::vector<int> values(kCount);
  for (int i = 0; i < kCount; ++i) values[i] = start + i;
  return values;
}

std::vector<int> Read(SyncedMemory* memory) {
  const int* data = static_cast<const int*>(memory->cpu_data());
  return std::vector<int>(data, data + kCount);
}

void Write(SyncedMemory* memory, int start) {
  const std::vector<int> values = Sequence(start);
  std::copy(values.begin(), values.end(), static_cast<int*>(memory->mutable_cpu_data()));
}

TEST(SyncedMemoryTest, AllocatesWhenFirstUsed) {
  SyncedMemory memory(kBytes);
  EXPECT_EQ(memory.size(), kBytes);
  EXPECT_EQ(memory.head(), SyncedMemory::UNINITIALIZED);
  EXPECT_EQ(memory.allocated_bytes(), 0u);
  EXPECT_EQ(Read(&memory), std::vector<int>(kCount, 0));
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_AT_CPU);
  EXPECT_EQ(memory.allocated_bytes(), kBytes);
}

TEST(SyncedMemoryTest, NothingNeedsNoMemoryAndWorks) {
  SyncedMemory memory;
  EXPECT_EQ(memory.size(), 0u);
  EXPECT_NE(memory.cpu_data(), nullptr);
  EXPECT_NE(memory.mutable_cpu_data(), nullptr);
  EXPECT_EQ(memory.allocated_bytes(), 0u);
}

TEST(SyncedMemoryTest, BuffersAreAlignedForVectorUnits) {
  for (std::size_t bytes : {std::size_t{1}, std::size_t{100}, std::size_t{5} << 20}) {
    SyncedMemory memory(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.cpu_data()) % 64, 0u) << bytes;
    const char* data = static_cast<const char*>(memory.cpu_data());
    EXPECT_EQ(std::count(data, data + bytes, 0), static_cast<std::ptrdiff_t>(bytes));
  }
}

TEST(SyncedMemoryTest, OneBufferForReadingAndWriting) {
  SyncedMemory memory(kBytes);
  const void* data = memory.cpu_data();
  Write(&memory, 3);
  EXPECT_EQ(memory.cpu_data(), data);
  EXPECT_EQ(memory.mutable_cpu_data(), data);
  EXPECT_EQ(memory.overwrite_cpu_data(), data);
  EXPECT_EQ(Read(&memory), Sequence(3));
}

TEST(SyncedMemoryTest, PackedIsUnpackedOnDemandAndOnce) {
  SyncedMemory memory(kBytes);
  Write(&memory, 100);
  auto packed = std::make_shared<Reversed>(Sequence(5));
  memory.set_packed(packed);
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_PACKED);
  EXPECT_EQ(memory.packed(), packed);
  EXPECT_EQ(packed->unpacked(), 0);
  EXPECT_EQ(Read(&memory), Sequence(5));
  EXPECT_EQ(Read(&memory), Sequence(5));
  EXPECT_EQ(packed->unpacked(), 1);
  // Both copies hold now.
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_AT_CPU);
  EXPECT_EQ(memory.packed(), packed);
}

TEST(SyncedMemoryTest, WritingKeepsThePackedValuesThenDropsTheCopy) {
  SyncedMemory memory(kBytes);
  auto packed = std::make_shared<Reversed>(Sequence(5));
  memory.set_packed(packed);
  static_cast<int*>(memory.mutable_cpu_data())[0] = 77;
  std::vector<int> want = Sequence(5);
  want[0] = 77;
  EXPECT_EQ(Read(&memory), want);
  EXPECT_EQ(memory.packed(), nullptr);
  EXPECT_EQ(memory.packed_storage(), packed) << "its buffer can be used again";
}

TEST(SyncedMemoryTest, OverwritingDoesNotUnpack) {
  SyncedMemory memory(kBytes);
  auto packed = std::make_shared<Reversed>(Sequence(5));
  memory.set_packed(packed);
  const std::vector<int> values = Sequence(50);
  std::copy(values.begin(), values.end(), static_cast<int*>(memory.overwrite_cpu_data()));
  EXPECT_EQ(packed->unpacked(), 0);
  EXPECT_EQ(memory.packed(), nullptr);
  EXPECT_EQ(Read(&memory), Sequence(50));
}

TEST(SyncedMemoryTest, CachingNeedsAHostCopy) {
  SyncedMemory memory(kBytes);
  EXPECT_THROW(memory.cache_packed(std::make_shared<Reversed>(Sequence(0))), ValueError);
  Write(&memory, 1);
  auto packed = std::make_shared<Reversed>(Sequence(1));
  memory.cache_packed(packed);
  EXPECT_EQ(memory.packed(), packed);
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_AT_CPU);
  EXPECT_EQ(Read(&memory), Sequence(1));
  EXPECT_EQ(packed->unpacked(), 0);
  EXPECT_EQ(memory.allocated_bytes(), 2 * kBytes);
}

TEST(SyncedMemoryTest, SetCpuDataUsesTheOutsidersBuffer) {
  std::vector<int> buffer = Sequence(20);
  SyncedMemory memory(kBytes);
  memory.set_packed(std::make_shared<Reversed>(Sequence(5)));
  memory.set_cpu_data(buffer.data());
  EXPECT_FALSE(memory.owns_cpu_data());
  EXPECT_TRUE(memory.pinned());
  EXPECT_EQ(memory.cpu_data(), buffer.data());
  EXPECT_EQ(memory.packed(), nullptr);
  Write(&memory, 40);
  EXPECT_EQ(buffer, Sequence(40));
  EXPECT_EQ(memory.allocated_bytes(), kBytes) << "the packed buffer alone";
  EXPECT_THROW(memory.set_cpu_data(nullptr), ValueError);
}

TEST(SyncedMemoryTest, SettleLeavesUnpinnedMemoryAlone) {
  SyncedMemory memory(kBytes);
  auto packed = std::make_shared<Reversed>(Sequence(5));
  memory.set_packed(packed);
  memory.Settle();
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_PACKED);
  EXPECT_EQ(packed->unpacked(), 0);
}

// A view must see what was computed, and what is written through it must count.
TEST(SyncedMemoryTest, SettleMakesThePinnedBufferTheTruth) {
  SyncedMemory memory(kBytes);
  int* view = static_cast<int*>(memory.mutable_cpu_data());
  memory.Pin();
  auto packed = std::make_shared<Reversed>(Sequence(5));
  memory.set_packed(packed);
  memory.Settle();
  EXPECT_EQ(std::vector<int>(view, view + kCount), Sequence(5));
  EXPECT_EQ(memory.packed(), nullptr);
  view[0] = 99;
  EXPECT_EQ(Read(&memory)[0], 99);

  // A copy cached beside the host's is not trusted either.
  memory.cache_packed(std::make_shared<Reversed>(Read(&memory)));
  memory.Settle();
  EXPECT_EQ(memory.packed(), nullptr);

  memory.Unpin();
  EXPECT_FALSE(memory.pinned());
  EXPECT_THROW(memory.Unpin(), ValueError);
}

TEST(SyncedMemoryTest, SettleWritesIntoTheOutsidersBuffer) {
  std::vector<int> buffer(kCount, -1);
  SyncedMemory memory(kBytes);
  memory.set_cpu_data(buffer.data());
  memory.set_packed(std::make_shared<Reversed>(Sequence(8)));
  EXPECT_EQ(buffer, std::vector<int>(kCount, -1));
  memory.Settle();
  EXPECT_EQ(buffer, Sequence(8));
}

TEST(SyncedMemoryTest, APinnedBufferOutlivesItsReplacement) {
  std::vector<int> buffer = Sequence(0);
  SyncedMemory memory(kBytes);
  Write(&memory, 7);
  const int* view = static_cast<const int*>(memory.cpu_data());
  memory.Pin();
  memory.set_cpu_data(buffer.data());
  EXPECT_EQ(std::vector<int>(view, view + kCount), Sequence(7));
  memory.Unpin();
}

TEST(SyncedMemoryTest, ABufferThatIsLeftKeepsItsValues) {
  SyncedMemory memory(kBytes);
  memory.LeaveBuffer();  // there is none yet
  Write(&memory, 7);
  const int* view = static_cast<const int*>(memory.cpu_data());
  memory.Pin();
  EXPECT_EQ(memory.pins(), 1);
  memory.LeaveBuffer();
  EXPECT_EQ(Read(&memory), Sequence(7));
  EXPECT_NE(memory.cpu_data(), view);
  Write(&memory, 8);
  EXPECT_EQ(std::vector<int>(view, view + kCount), Sequence(7));
  EXPECT_EQ(Read(&memory), Sequence(8));
  // Where the newest copy is packed, the new buffer is filled when it is asked for.
  memory.set_packed(std::make_shared<Reversed>(Sequence(9)));
  memory.LeaveBuffer();
  EXPECT_EQ(Read(&memory), Sequence(9));
  memory.Unpin();
}

TEST(SyncedMemoryTest, AnImpossibleSizeIsAnError) {
  SyncedMemory memory(std::size_t{1} << 62);
  EXPECT_THROW(memory.cpu_data(), RuntimeFailure);
  EXPECT_EQ(memory.head(), SyncedMemory::UNINITIALIZED);
}

TEST(SyncedMemoryTest, DeviceMemoryIsRefusedWithoutAGpu) {
  if (device::Supported()) GTEST_SKIP() << "built with one";
  SyncedMemory memory(kBytes);
  EXPECT_THROW(memory.gpu_data(), Error);
  EXPECT_THROW(memory.mutable_gpu_data(), Error);
  int value = 0;
  EXPECT_THROW(memory.set_gpu_data(&value), Error);
}

TEST(SyncedMemoryTest, DiscardedValuesAreAnErrorUntilWrittenAgain) {
  SyncedMemory memory(kBytes);
  Write(&memory, 5);
  memory.cache_packed(std::make_shared<Reversed>(Sequence(5)));
  memory.Discard("blob 'x' is not kept");
  EXPECT_EQ(memory.allocated_bytes(), 0u);
  EXPECT_EQ(memory.packed(), nullptr);
  try {
    memory.cpu_data();
    FAIL() << "read what is gone";
  } catch (const RuntimeFailure& error) {
    EXPECT_NE(std::string(error.what()).find("blob 'x' is not kept"), std::string::npos);
  }
  Write(&memory, 6);
  EXPECT_EQ(Read(&memory), Sequence(6));
  memory.Discard("again");
  memory.set_packed(std::make_shared<Reversed>(Sequence(7)));
  EXPECT_EQ(Read(&memory), Sequence(7));
}

TEST(SyncedMemoryTest, WhatOutsidersHoldIsNotDiscarded) {
  SyncedMemory memory(kBytes);
  Write(&memory, 5);
  const int* view = static_cast<const int*>(memory.cpu_data());
  memory.Pin();
  memory.Discard("gone");
  EXPECT_EQ(Read(&memory), Sequence(5));
  EXPECT_EQ(memory.cpu_data(), view);
  memory.Unpin();
  std::vector<int> theirs = Sequence(8);
  memory.set_cpu_data(theirs.data());
  memory.Discard("gone");
  EXPECT_EQ(Read(&memory), Sequence(8));
}

TEST(SyncedMemoryTest, PackedCopyAloneStillHasTheValues) {
  SyncedMemory memory(kBytes);
  Write(&memory, 5);
  memory.KeepPackedOnly();  // there is none yet
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_AT_CPU);
  memory.cache_packed(std::make_shared<Reversed>(Sequence(5)));
  memory.KeepPackedOnly();
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_PACKED);
  EXPECT_EQ(memory.allocated_bytes(), kBytes);
  EXPECT_EQ(Read(&memory), Sequence(5));
}

TEST(SyncedMemoryTest, VersionTellsOfEveryWrite) {
  SyncedMemory memory(kBytes);
  std::vector<int> theirs = Sequence(1);
  std::uint64_t last = memory.version();
  const auto changed = [&] {
    const bool result = memory.version() != last;
    last = memory.version();
    return result;
  };
  memory.cpu_data();
  EXPECT_FALSE(changed());
  memory.mutable_cpu_data();
  EXPECT_TRUE(changed());
  memory.overwrite_cpu_data();
  EXPECT_TRUE(changed());
  memory.set_packed(std::make_shared<Reversed>(Sequence(2)));
  EXPECT_TRUE(changed());
  memory.cpu_data();
  memory.cache_packed(std::make_shared<Reversed>(Sequence(2)));
  EXPECT_FALSE(changed());
  memory.set_cpu_data(theirs.data());
  EXPECT_TRUE(changed());
  memory.Settle();  // the buffer is somebody else's
  EXPECT_TRUE(changed());
}

TEST(SyncedMemoryTest, DiscardLeavesAnOutsidersBufferAlone) {
  std::vector<int> theirs(kCount, 3);
  SyncedMemory memory(kBytes);
  memory.set_cpu_data(theirs.data());
  memory.Discard("freed");
  EXPECT_FALSE(memory.discarded());
  EXPECT_EQ(memory.cpu_data(), theirs.data());
}

TEST(SyncedMemoryTest, DiscardedValuesComeBackByAWriteOrAsZeros) {
  SyncedMemory memory(kBytes);
  std::memset(memory.mutable_cpu_data(), 1, kBytes);
  memory.Discard("freed by the test");
  EXPECT_EQ(memory.allocated_bytes(), 0u);
  EXPECT_EQ(test::MessageOf<RuntimeFailure>([&] { memory.cpu_data(); }),
            "freed by the test");
  memory.Renew();
  const int* values = static_cast<const int*>(memory.cpu_data());
  EXPECT_EQ(std::count(values, values + kCount, 0), kCount);
  memory.Discard("freed again");
  static_cast<int*>(memory.overwrite_cpu_data())[0] = 7;
  EXPECT_EQ(static_cast<const int*>(memory.cpu_data())[0], 7);
}

TEST(SyncedMemoryTest, KeepsOneOfTwoCopies) {
  const auto both = [](SyncedMemory* memory) {
    memory->mutable_cpu_data();
    memory->cache_packed(std::make_shared<Reversed>(Sequence(1)));
    EXPECT_EQ(memory->allocated_bytes(), 2 * kBytes);
  };
  SyncedMemory plain(kBytes), packed(kBytes);
  both(&plain);
  plain.KeepPlainOnly();
  EXPECT_EQ(plain.allocated_bytes(), kBytes);
  EXPECT_EQ(plain.packed(), nullptr);
  both(&packed);
  packed.KeepPackedOnly();
  EXPECT_EQ(packed.allocated_bytes(), kBytes);
  // The only copy is never given up.
  packed.KeepPlainOnly();
  EXPECT_NE(packed.packed(), nullptr);
  plain.KeepPackedOnly();
  EXPECT_EQ(plain.allocated_bytes(), kBytes);
}

}  // namespace
}  // namespace caffe
