// Device memory: what is handed out again, what is counted, and what a full one says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/syncedmem.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

using ::testing::HasSubstr;

class DeviceMemoryTest : public GpuModeTest<float> {
 protected:
  void SetUp() override {
    GpuModeTest::SetUp();
    device::TrimCache();
    before_ = device::CountMemory();
  }
  std::size_t Used() const { return device::CountMemory().used - before_.used; }
  std::size_t DriverAllocations() const {
    return device::CountMemory().driver_allocations - before_.driver_allocations;
  }
  device::MemoryCounts before_;
};

TEST_F(DeviceMemoryTest, WhatIsFreedIsHandedOutAgain) {
  void* first = device::Allocate(5000);
  EXPECT_GE(Used(), 5000u);
  device::Free(first);
  EXPECT_EQ(Used(), 0u);
  void* second = device::Allocate(4990);
  EXPECT_EQ(second, first);
  EXPECT_EQ(DriverAllocations(), 1u);
  device::Free(second);
  device::TrimCache();
  EXPECT_EQ(device::CountMemory().cached, 0u);
}

// A kilobyte in a megabyte would be a megabyte lost.
TEST_F(DeviceMemoryTest, ALargePieceIsNotSpentOnALittle) {
  void* large = device::Allocate(1 << 20);
  device::Free(large);
  void* little = device::Allocate(1 << 10);
  EXPECT_NE(little, large);
  EXPECT_EQ(DriverAllocations(), 2u);
  device::Free(little);
}

TEST_F(DeviceMemoryTest, ThePeakIsCounted) {
  device::ResetPeak();
  const std::size_t start = device::CountMemory().peak;
  std::vector<void*> memories;
  for (int i = 0; i < 3; ++i) memories.push_back(device::Allocate(1 << 12));
  for (void* memory : memories) device::Free(memory);
  device::Free(device::Allocate(1 << 12));
  EXPECT_EQ(device::CountMemory().peak - start, 3u << 12);
}

TEST_F(DeviceMemoryTest, TooMuchSaysHowMuchThereIs) {
  const std::string message =
      ErrorOfAction([] { device::Allocate(std::size_t{1} << 50); });
  EXPECT_THAT(message, HasSubstr("GPU 0 has no memory for 1125899906842624 bytes more"));
  EXPECT_THAT(message, HasSubstr("smaller batch"));
  // The device goes on.
  device::Free(device::Allocate(1 << 10));
}

TEST_F(DeviceMemoryTest, BlobsMoveBetweenHostAndDevice) {
  Blob<float> blob(2, 3, 4, 5), copy(2, 3, 4, 5);
  Fill(&blob, 1);
  const Doubles values = Values(blob);
  copy.CopyFrom(blob);
  EXPECT_EQ(copy.data()->head(), SyncedMemory::HEAD_AT_GPU);
  EXPECT_EQ(Values(copy), values);
  EXPECT_EQ(copy.data()->head(), SyncedMemory::SYNCED);
  copy.mutable_cpu_data()[0] = 7;
  EXPECT_EQ(copy.data()->head(), SyncedMemory::HEAD_AT_CPU);
  copy.gpu_data();
  EXPECT_EQ(Values(copy)[0], 7);
}

TEST_F(DeviceMemoryTest, NewBlobsAreZero) {
  Blob<double> blob(1, 2, 3, 4);
  blob.gpu_data();
  EXPECT_EQ(Values(blob), Doubles(24, 0));
}

TEST_F(DeviceMemoryTest, DiscardedValuesFreeTheirDeviceMemory) {
  Blob<float> blob(1, 1, 64, 64);
  blob.mutable_gpu_data();
  EXPECT_GE(Used(), 64u * 64 * sizeof(float));
  blob.data()->Discard("blob 'x' is not kept");
  EXPECT_EQ(Used(), 0u);
  EXPECT_THAT(ErrorOfAction([&] { blob.gpu_data(); }), HasSubstr("blob 'x'"));
}

// Who holds the host pointer sees what the device has computed when a net has run.
TEST_F(DeviceMemoryTest, APinnedMemorySettlesOnTheHost) {
  SyncedMemory memory(sizeof(float));
  memory.Pin();
  const float* host = static_cast<const float*>(memory.cpu_data());
  const float value = 3;
  device::Copy(memory.mutable_gpu_data(), &value, sizeof(value));
  EXPECT_EQ(*host, 0);
  memory.Settle();
  EXPECT_EQ(*host, 3);
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_AT_CPU);
  memory.Unpin();
}

float OnDevice(const void* pointer) {
  float value;
  device::Copy(&value, pointer, sizeof(value));
  return value;
}

void WriteOnDevice(void* pointer, float value) {
  device::Copy(pointer, &value, sizeof(value));
}

// Who holds the device pointer sees what was computed elsewhere when a net has run.
TEST_F(DeviceMemoryTest, AReadDeviceMemorySettlesWhereItIs) {
  SyncedMemory memory(sizeof(float));
  const void* pointer = memory.gpu_data();
  memory.PinOnDevice(/*writes=*/false);
  *static_cast<float*>(memory.mutable_cpu_data()) = 3;
  const std::uint64_t version = memory.version();
  memory.Settle();
  EXPECT_EQ(OnDevice(pointer), 3);
  EXPECT_EQ(memory.gpu_data(), pointer);
  EXPECT_EQ(memory.head(), SyncedMemory::SYNCED);
  EXPECT_EQ(memory.version(), version) << "nobody can have written";
  memory.UnpinOnDevice(false);
  EXPECT_FALSE(memory.pinned_on_device());
}

TEST_F(DeviceMemoryTest, AWrittenDeviceMemoryIsTheNewestAsLongAsItIsHeld) {
  SyncedMemory memory(sizeof(float));
  void* pointer = memory.mutable_gpu_data();
  memory.PinOnDevice(/*writes=*/true);
  for (const float value : {1.f, 2.f}) {
    WriteOnDevice(pointer, value);
    EXPECT_EQ(*static_cast<const float*>(memory.cpu_data()), value);
  }
  *static_cast<float*>(memory.mutable_cpu_data()) = 3;
  const std::uint64_t version = memory.version();
  memory.Settle();
  EXPECT_EQ(OnDevice(pointer), 3);
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_AT_GPU);
  EXPECT_NE(memory.version(), version) << "somebody may have written, or will";
  memory.UnpinOnDevice(true);
  memory.cpu_data();
  EXPECT_EQ(memory.head(), SyncedMemory::SYNCED);
}

// The host's holders may write at any time, those of the device only read.
TEST_F(DeviceMemoryTest, WhereBothAreHeldTheHostIsTheNewest) {
  SyncedMemory memory(sizeof(float));
  const void* pointer = memory.gpu_data();
  memory.PinOnDevice(/*writes=*/false);
  float* host = static_cast<float*>(memory.mutable_cpu_data());
  memory.Pin();
  WriteOnDevice(memory.mutable_gpu_data(), 5);
  memory.Settle();
  EXPECT_EQ(*host, 5);
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_AT_CPU);
  *host = 6;
  memory.Settle();
  EXPECT_EQ(OnDevice(pointer), 6);
  EXPECT_EQ(memory.head(), SyncedMemory::HEAD_AT_CPU);
  memory.Unpin();
  memory.UnpinOnDevice(false);
}

TEST_F(DeviceMemoryTest, APinnedDeviceMemoryIsNeitherDiscardedNorFreed) {
  const std::size_t before = Used();
  {
    SyncedMemory memory(sizeof(float));
    void* pointer = memory.mutable_gpu_data();
    memory.PinOnDevice(/*writes=*/false);
    WriteOnDevice(pointer, 7);
    memory.Discard("is not kept");
    EXPECT_FALSE(memory.discarded());
    SyncedMemory other(sizeof(float));
    memory.set_gpu_data(other.mutable_gpu_data());
    EXPECT_NE(memory.gpu_data(), pointer);
    EXPECT_EQ(OnDevice(pointer), 7);
    memory.UnpinOnDevice(false);
  }
  EXPECT_EQ(Used(), before);
}

}  // namespace
}  // namespace test
}  // namespace caffe
