#include "device.h"

#include <cuda_emulation/control.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "api.h"
#include "capture.h"
#include "environment.h"
#include "streams.h"

namespace cuda_emulation::runtime {
namespace {

constexpr int kLeastPriority = 0, kGreatestPriority = -5;

struct Settings {
  int count;
  std::size_t memory_bytes = NumberOf("CUDA_EMULATION_MEMORY", std::size_t{8} << 30);
  std::size_t lockable_bytes = std::numeric_limits<std::size_t>::max();
  int driver = static_cast<int>(NumberOf("CUDA_EMULATION_DRIVER", CUDART_VERSION));
  int runtime = CUDART_VERSION;
  bool peers_possible = true;

  Settings()
      : count(std::min(static_cast<int>(NumberOf("CUDA_EMULATION_DEVICES", 2)),
                       kMostDevices)) {}
};

Settings& TheSettings() {
  static auto* settings = new Settings();
  return *settings;
}

thread_local int current = 0;

void Reset(Device* device) {
  ResetStreams(device);
  ResetEvents(*device);
  while (!device->memory.allocations().empty()) {
    device->memory.Free(&device->memory.allocations().begin()->second);
  }
  device->peers.clear();
  device->fault = cudaSuccess;
}

}  // namespace

Device::Device(int number)
    : number(number),
      memory(number),
      legacy(new CUstream_st{number, cudaStreamDefault, 0, true}),
      streams{legacy} {
  if (DevicesAreBusy()) fault = cudaErrorDevicesUnavailable;
}

int DeviceCount() { return TheSettings().count; }
bool IsDevice(int number) { return number >= 0 && number < DeviceCount(); }
std::size_t DeviceMemoryBytes() { return TheSettings().memory_bytes; }
std::size_t LockableMemoryBytes() { return TheSettings().lockable_bytes; }

// Neither is ever destroyed: static objects may free their memory after everything here.
Device& DeviceOf(int number) {
  static auto* devices = [] {
    auto* all = new std::vector<std::unique_ptr<Device>>();
    for (int i = 0; i < kMostDevices; ++i) all->push_back(std::make_unique<Device>(i));
    return all;
  }();
  return *devices->at(static_cast<std::size_t>(number));
}

std::recursive_mutex& RuntimeMutex() {
  static auto* mutex = new std::recursive_mutex();
  return *mutex;
}

Device& CurrentDevice() { return DeviceOf(current); }

Device* DeviceAt(std::uintptr_t address) {
  for (int i = 0; i < kMostDevices; ++i) {
    if (DeviceOf(i).memory.Contains(address)) return &DeviceOf(i);
  }
  return nullptr;
}

Allocation* AllocationAt(std::uintptr_t address) {
  Device* device = DeviceAt(address);
  return device ? device->memory.Find(address) : nullptr;
}

Allocation* AllocationOf(const void* pointer, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  Allocation* allocation = AllocationAt(address);
  const bool inside = allocation && address >= allocation->begin &&
                      address <= allocation->end() &&
                      bytes <= allocation->end() - address;
  return inside ? allocation : nullptr;
}

cudaError_t WhyUnusable() {
  const Settings& settings = TheSettings();
  if (InTask()) return cudaErrorNotPermitted;
  // Within one major version, older drivers do.
  if (settings.driver / 1000 < settings.runtime / 1000) {
    return cudaErrorInsufficientDriver;
  }
  if (settings.count == 0) return cudaErrorNoDevice;
  return IsDevice(current) ? cudaSuccess : cudaErrorInvalidDevice;
}

}  // namespace cuda_emulation::runtime

namespace cuda_emulation {
using namespace runtime;

void ResetAll() {
  const std::lock_guard lock(RuntimeMutex());
  TheSettings() = Settings();
  SetOrder(Order::kForward);
  current = 0;
  for (int i = 0; i < kMostDevices; ++i) Reset(&DeviceOf(i));
  cudaGetLastError();
}

void SetDeviceCount(int count) {
  const std::lock_guard lock(RuntimeMutex());
  TheSettings().count = std::clamp(count, 0, kMostDevices);
}

void SetDeviceMemory(std::size_t bytes) {
  const std::lock_guard lock(RuntimeMutex());
  TheSettings().memory_bytes = bytes;
}

void SetLockableMemory(std::size_t bytes) {
  const std::lock_guard lock(RuntimeMutex());
  TheSettings().lockable_bytes = bytes;
}

void SetVersions(int driver, int runtime) {
  const std::lock_guard lock(RuntimeMutex());
  TheSettings().driver = driver;
  TheSettings().runtime = runtime;
}

void SetPeersPossible(bool possible) {
  const std::lock_guard lock(RuntimeMutex());
  TheSettings().peers_possible = possible;
}

std::size_t LiveAllocations(int device) {
  const std::lock_guard lock(RuntimeMutex());
  return DeviceOf(device).memory.allocations().size();
}

}  // namespace cuda_emulation

using namespace cuda_emulation::runtime;

namespace cuda_emulation::runtime {

static std::atomic<unsigned long> waits{0};

void CountWait() { ++waits; }

}  // namespace cuda_emulation::runtime

extern "C" {

unsigned long cuda_emulation_waits() { return waits; }

cudaError_t cudaDriverGetVersion(int* driverVersion) {
  *driverVersion = TheSettings().driver;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* runtimeVersion) {
  *runtimeVersion = TheSettings().runtime;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return Call([&] {
    *count = DeviceCount();
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  *device = current;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  const int before = std::exchange(current, device);
  const cudaError_t error =
      Call([&] { return IsDevice(device) ? cudaSuccess : cudaErrorInvalidDevice; });
  if (error != cudaSuccess) current = before;
  return error;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* leastPriority, int* greatestPriority) {
  return Call([&] {
    if (leastPriority) *leastPriority = kLeastPriority;
    if (greatestPriority) *greatestPriority = kGreatestPriority;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return CallOnDevice([](Device& device) {
    CountWait();
    const cudaError_t refused = RefuseInCaptureOn(device);
    if (refused != cudaSuccess) return refused;
    FinishDevice(device);
    return device.fault;
  });
}

cudaError_t cudaDeviceReset() {
  return Call([] {
    Reset(&CurrentDevice());
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceCanAccessPeer(int* canAccessPeer, int device, int peerDevice) {
  return Call([&] {
    if (!IsDevice(device) || !IsDevice(peerDevice)) return cudaErrorInvalidDevice;
    *canAccessPeer = device != peerDevice && TheSettings().peers_possible;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceEnablePeerAccess(int peerDevice, unsigned int flags) {
  return CallOnDevice([&](Device& device) {
    if (!IsDevice(peerDevice) || peerDevice == device.number) {
      return cudaErrorInvalidDevice;
    }
    if (flags != 0) return cudaErrorInvalidValue;
    if (!TheSettings().peers_possible) return cudaErrorPeerAccessUnsupported;
    return device.peers.insert(peerDevice).second ? cudaSuccess
                                                  : cudaErrorPeerAccessAlreadyEnabled;
  });
}

cudaError_t cudaDeviceDisablePeerAccess(int peerDevice) {
  return CallOnDevice([&](Device& device) {
    FinishDevice(device);
    return device.peers.erase(peerDevice) ? cudaSuccess : cudaErrorPeerAccessNotEnabled;
  });
}
}
