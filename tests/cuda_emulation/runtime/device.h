#ifndef CUDA_EMULATION_RUNTIME_DEVICE_H_
#define CUDA_EMULATION_RUNTIME_DEVICE_H_

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "address_space.h"

namespace cuda_emulation::runtime {

/// One emulated device. All of them, and what they point to, belong to who holds the
/// runtime's lock (api.h).
struct Device {
  explicit Device(int number);

  const int number;
  AddressSpace memory;
  std::shared_ptr<CUstream_st> legacy;
  /// All streams, the legacy one first. A destroyed one stays until its work is done.
  std::vector<std::shared_ptr<CUstream_st>> streams;
  /// The devices whose memory this one may use.
  std::set<int> peers;
  /// What a kernel did wrong; nothing runs after that.
  cudaError_t fault = cudaSuccess;
};

constexpr int kMostDevices = 8;
constexpr std::size_t kMostThreadsPerBlock = 1024;

int DeviceCount();
bool IsDevice(int number);
Device& DeviceOf(int number);
/// That of the calling thread.
Device& CurrentDevice();
/// The device in whose addresses `address` is; null if it is none's.
Device* DeviceAt(std::uintptr_t address);
/// The allocation of any device in whose pages `address` is; null if there is none.
Allocation* AllocationAt(std::uintptr_t address);
/// The piece of device memory in which all the bytes are; null if there is none.
Allocation* AllocationOf(const void* pointer, std::size_t bytes);
std::size_t DeviceMemoryBytes();
std::size_t LockableMemoryBytes();

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_DEVICE_H_
