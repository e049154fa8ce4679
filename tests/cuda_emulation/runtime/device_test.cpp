// What there is, and who may use what.

#include <atomic>
#include <thread>

#include "test_support.h"

namespace cuda_emulation::test {
namespace {

using ::testing::HasSubstr;

class DeviceTest : public RuntimeTest {};

TEST_F(DeviceTest, TheirNumberCanBeSet) {
  int count = -1;
  SetDeviceCount(3);
  EXPECT_CUDA(cudaGetDeviceCount(&count));
  EXPECT_EQ(count, 3);
  EXPECT_CUDA(cudaSetDevice(2));
  EXPECT_EQ(cudaSetDevice(3), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaSetDevice(-1), cudaErrorInvalidDevice);
  EXPECT_CUDA(cudaGetDevice(&count));
  EXPECT_EQ(count, 2);
  SetDeviceCount(0);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  int* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorNoDevice);
}

TEST_F(DeviceTest, ADriverMayBeTooOld) {
  int version = 0, count = 0;
  SetVersions(12080, 13000);
  EXPECT_CUDA(cudaDriverGetVersion(&version));
  EXPECT_EQ(version, 12080);
  EXPECT_CUDA(cudaRuntimeGetVersion(&version));
  EXPECT_EQ(version, 13000);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInsufficientDriver);
  SetVersions(13000, 13020);  // of the same major version
  EXPECT_CUDA(cudaGetDeviceCount(&count));
}

TEST_F(DeviceTest, PropertiesAndAttributesAgree) {
  SetDeviceMemory(123 << 20);
  cudaDeviceProp properties;
  EXPECT_CUDA(cudaGetDeviceProperties(&properties, 1));
  EXPECT_THAT(properties.name, HasSubstr("emulated"));
  EXPECT_EQ(properties.totalGlobalMem, 123u << 20);
  EXPECT_EQ(properties.warpSize, 32);
  EXPECT_EQ(properties.maxThreadsDim[2], 64);
  EXPECT_EQ(properties.maxGridSize[1], 65535);
  const auto attribute = [](cudaDeviceAttr which) {
    int value = -1;
    EXPECT_CUDA(cudaDeviceGetAttribute(&value, which, 1));
    return value;
  };
  EXPECT_EQ(attribute(cudaDevAttrComputeCapabilityMajor), properties.major);
  EXPECT_EQ(attribute(cudaDevAttrComputeCapabilityMinor), properties.minor);
  EXPECT_EQ(attribute(cudaDevAttrMultiProcessorCount), properties.multiProcessorCount);
  EXPECT_EQ(attribute(cudaDevAttrPciBusId), properties.pciBusID);
  char bus[13];
  EXPECT_CUDA(cudaDeviceGetPCIBusId(bus, sizeof(bus), 1));
  EXPECT_STREQ(bus, "0000:02:00.0");
  EXPECT_EQ(cudaDeviceGetPCIBusId(bus, sizeof(bus) - 1, 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetDeviceProperties(&properties, 2), cudaErrorInvalidDevice);
  int value = 0;
  EXPECT_EQ(cudaDeviceGetAttribute(&value, static_cast<cudaDeviceAttr>(9999), 0),
            cudaErrorInvalidValue);
}

TEST_F(DeviceTest, EveryThreadHasItsOwnDeviceAndLastError) {
  EXPECT_CUDA(cudaSetDevice(1));
  EXPECT_EQ(cudaSetDevice(77), cudaErrorInvalidDevice);
  std::thread([] {
    int device = -1;
    EXPECT_CUDA(cudaGetDevice(&device));
    EXPECT_EQ(device, 0);
    EXPECT_CUDA(cudaGetLastError());
  }).join();
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  EXPECT_CUDA(cudaGetLastError());
}

TEST_F(DeviceTest, ThreadsUseTheirDevicesAtTheSameTime) {
  constexpr int kThreads = 4, kRounds = 200, kCount = 300;
  SetDeviceCount(kThreads);
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int device = 0; device < kThreads; ++device) {
    threads.emplace_back([device, &right] {
      EXPECT_CUDA(cudaSetDevice(device));
      cudaStream_t stream;
      EXPECT_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
      int* values = NewArrayOf(std::vector<int>(kCount, device));
      EXPECT_CUDA(cudaDeviceSynchronize());
      for (int i = 0; i < kRounds; ++i) {
        EXPECT_CUDA(LaunchOn(stream, AddOne, 3, 128, kCount, values));
        if (i % 10 == 0) {
          EXPECT_CUDA(cudaStreamSynchronize(stream));
        }
      }
      EXPECT_CUDA(cudaStreamSynchronize(stream));
      right += Read(values, kCount) == std::vector<int>(kCount, device + kRounds);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, kThreads);
}

TEST_F(DeviceTest, PeersMustBeEnabled) {
  int possible = 0;
  EXPECT_CUDA(cudaDeviceCanAccessPeer(&possible, 0, 1));
  EXPECT_EQ(possible, 1);
  EXPECT_CUDA(cudaDeviceCanAccessPeer(&possible, 1, 1));
  EXPECT_EQ(possible, 0);

  EXPECT_CUDA(cudaSetDevice(1));
  int* theirs = NewArrayOf<int>({1, 2});
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_CUDA(cudaSetDevice(0));
  EXPECT_CUDA(Launch(AddOne, 1, 2, 2, theirs));
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  EXPECT_THAT(LastFault(), HasSubstr("device 0 has no access"));
  EXPECT_CUDA(cudaDeviceReset());
  cudaGetLastError();

  EXPECT_CUDA(cudaDeviceEnablePeerAccess(1, 0));
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessAlreadyEnabled);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(0, 0), cudaErrorInvalidDevice);
  EXPECT_CUDA(Launch(AddOne, 1, 2, 2, theirs));
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_THAT(Read(theirs, 2), ::testing::ElementsAre(2, 3));
  EXPECT_CUDA(cudaDeviceDisablePeerAccess(1));
  EXPECT_EQ(cudaDeviceDisablePeerAccess(1), cudaErrorPeerAccessNotEnabled);
  SetPeersPossible(false);
  EXPECT_CUDA(cudaDeviceCanAccessPeer(&possible, 0, 1));
  EXPECT_EQ(possible, 0);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessUnsupported);
}

TEST_F(DeviceTest, MemoryThatAPeerUsedIsClosedToOthers) {
  SetDeviceCount(3);
  EXPECT_CUDA(cudaSetDevice(2));
  int* theirs = NewArrayOf<int>({1});
  cudaEvent_t done;
  EXPECT_CUDA(cudaSetDevice(1));
  EXPECT_CUDA(cudaEventCreate(&done));
  EXPECT_CUDA(cudaDeviceEnablePeerAccess(2, 0));
  EXPECT_CUDA(Launch(AddOne, 1, 1, 1, theirs));
  EXPECT_CUDA(cudaEventRecord(done));
  EXPECT_CUDA(cudaSetDevice(0));
  EXPECT_CUDA(cudaStreamWaitEvent(nullptr, done));
  EXPECT_CUDA(Launch(AddOne, 1, 1, 1, theirs));
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
}

TEST_F(DeviceTest, ResetLeavesNothing) {
  int* values = NewArray<int>(1);
  cudaStream_t stream;
  cudaEvent_t event;
  EXPECT_CUDA(cudaStreamCreate(&stream));
  EXPECT_CUDA(cudaEventCreate(&event));
  EXPECT_EQ(LiveAllocations(0), 1u);
  EXPECT_CUDA(cudaDeviceReset());
  EXPECT_EQ(LiveAllocations(0), 0u);
  EXPECT_EQ(cudaFree(values), cudaErrorInvalidValue);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaEventSynchronize(event), cudaErrorInvalidResourceHandle);
}

TEST_F(DeviceTest, ErrorsHaveNamesAndTexts) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  EXPECT_STREQ(cudaGetErrorString(static_cast<cudaError_t>(9999)),
               "unrecognized error code");
}

}  // namespace
}  // namespace cuda_emulation::test
