#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "test_support.h"

namespace cuda_emulation::test {
namespace {

using ::testing::Each;

class MemoryTest : public RuntimeTest {};

TEST_F(MemoryTest, NewMemoryHoldsNaN) {
  for (const float value : Read(NewArray<float>(5000), 5000)) {
    ASSERT_TRUE(std::isnan(value));
  }
  for (const double value : Read(NewArray<double>(3), 3)) ASSERT_TRUE(std::isnan(value));
}

TEST_F(MemoryTest, PiecesAreAlignedAndApart) {
  std::vector<std::pair<std::uintptr_t, std::size_t>> pieces;
  for (const std::size_t bytes : {1u, 255u, 256u, 257u, 4096u, 5000u, 1u << 20}) {
    void* memory = nullptr;
    EXPECT_CUDA(cudaMalloc(&memory, bytes));
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    EXPECT_EQ(address % 256, 0u);
    for (const auto& [other, size] : pieces) {
      EXPECT_TRUE(address + bytes <= other || other + size <= address);
    }
    pieces.emplace_back(address, bytes);
  }
  void* none = &pieces;
  EXPECT_CUDA(cudaMalloc(&none, 0));
  EXPECT_EQ(none, nullptr);
  EXPECT_CUDA(cudaFree(nullptr));
}

TEST_F(MemoryTest, ADeviceHasSoMuch) {
  SetDeviceMemory(1 << 20);
  std::size_t free = 0, total = 0;
  char *first = nullptr, *second = nullptr;
  EXPECT_CUDA(cudaMalloc(&first, 700 << 10));
  EXPECT_CUDA(cudaMemGetInfo(&free, &total));
  EXPECT_EQ(total, 1u << 20);
  EXPECT_EQ(free, 324u << 10);
  EXPECT_EQ(cudaMalloc(&second, 325 << 10), cudaErrorMemoryAllocation);
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_CUDA(cudaGetLastError()) << "which does not stay";
  EXPECT_EQ(cudaMalloc(&second, std::numeric_limits<std::size_t>::max()),
            cudaErrorMemoryAllocation);
  EXPECT_CUDA(cudaSetDevice(1));
  EXPECT_CUDA(cudaMalloc(&second, 1 << 20)) << "each device has its own";
  EXPECT_CUDA(cudaFree(first)) << "from another device";
  EXPECT_CUDA(cudaSetDevice(0));
  EXPECT_CUDA(cudaMalloc(&first, 1 << 20));
}

TEST_F(MemoryTest, LiveMemoryIsCounted) {
  int* first = NewArray<int>(1);
  NewArray<int>(1);
  EXPECT_EQ(LiveAllocations(0), 2u);
  EXPECT_EQ(LiveAllocations(1), 0u);
  EXPECT_CUDA(cudaFree(first));
  EXPECT_EQ(LiveAllocations(0), 1u);
}

TEST_F(MemoryTest, OnlyWhatWasAllocatedIsFreed) {
  int* values = NewArray<int>(2);
  int local = 0;
  EXPECT_EQ(cudaFree(values + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(&local), cudaErrorInvalidValue);
  EXPECT_CUDA(cudaFree(values));
  EXPECT_EQ(cudaFree(values), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(&local), cudaErrorInvalidValue);
}

TEST_F(MemoryTest, PointersAreKnown) {
  EXPECT_CUDA(cudaSetDevice(1));
  char* device = NewArray<char>(100);
  char* pinned = nullptr;
  EXPECT_CUDA(cudaMallocHost(&pinned, 100));
  char pageable = 0;
  cudaPointerAttributes attributes;
  EXPECT_CUDA(cudaSetDevice(0));
  EXPECT_CUDA(cudaPointerGetAttributes(&attributes, device + 99));
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.device, 1);
  EXPECT_EQ(attributes.devicePointer, device + 99);
  EXPECT_EQ(attributes.hostPointer, nullptr);
  EXPECT_CUDA(cudaPointerGetAttributes(&attributes, pinned + 99));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  EXPECT_EQ(attributes.hostPointer, pinned + 99);
  EXPECT_CUDA(cudaPointerGetAttributes(&attributes, &pageable));
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);

  EXPECT_TRUE(IsDevicePointer(device));
  EXPECT_FALSE(IsDevicePointer(pinned));
  EXPECT_TRUE(IsDeviceRange(device, 100));
  EXPECT_FALSE(IsDeviceRange(device, 101));
  EXPECT_FALSE(IsDeviceRange(device - 1, 10));
  EXPECT_CUDA(cudaFreeHost(pinned));
}

TEST_F(MemoryTest, OnlySoMuchHostMemoryCanBeLocked) {
  SetLockableMemory(1 << 20);
  void *first = nullptr, *second = nullptr;
  EXPECT_CUDA(cudaMallocHost(&first, 700 << 10));
  EXPECT_EQ(cudaMallocHost(&second, 700 << 10), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_CUDA(cudaFreeHost(first));
  EXPECT_CUDA(cudaMallocHost(&second, 700 << 10));
  EXPECT_CUDA(cudaFreeHost(second));
}

TEST_F(MemoryTest, HostMemoryCanBeLocked) {
  std::vector<char> memory(1000);
  EXPECT_CUDA(cudaHostRegister(memory.data(), 1000, cudaHostRegisterDefault));
  EXPECT_EQ(cudaHostRegister(memory.data() + 10, 10, 0),
            cudaErrorHostMemoryAlreadyRegistered);
  void* alias = nullptr;
  EXPECT_CUDA(cudaHostGetDevicePointer(&alias, memory.data(), 0));
  EXPECT_EQ(alias, memory.data());
  EXPECT_EQ(cudaFreeHost(memory.data()), cudaErrorInvalidValue);
  EXPECT_CUDA(cudaHostUnregister(memory.data()));
  EXPECT_EQ(cudaHostUnregister(memory.data()), cudaErrorHostMemoryNotRegistered);
}

using MemoryDeathTest = MemoryTest;

TEST_F(MemoryDeathTest, HostCodeThatUsesItIsFound) {
  int* values = NewArrayOf<int>({1, 2});
  EXPECT_CUDA(Launch(AddOne, 1, 2, 2, values));
  EXPECT_CUDA(cudaDeviceSynchronize());
  volatile int* out = values;
  EXPECT_DEATH(*out = 1,
               "host code uses device memory at 0x[0-9a-f]+: an allocation of 8 bytes on "
               "device 0; copy it with cudaMemcpy");
  EXPECT_DEATH(static_cast<void>(out[500]), "past the end of an allocation of 8 bytes");
  // What is no device memory dies as it did before.
  int* volatile nowhere = nullptr;
  EXPECT_DEATH(*nowhere = 1, "");
}

}  // namespace
}  // namespace cuda_emulation::test
