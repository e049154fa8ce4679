#include "device.h"

#include <cuda_emulation/control.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "api.h"
#include "capture.h"
#include "streams.h"

namespace cuda_emulation::runtime {
namespace {

constexpr int kLeastPriority = 0, kGreatestPriority = -5;
// Enough for every number format and instruction that libraries choose by it.
constexpr int kComputeMajor = 8, kComputeMinor = 0;
constexpr int kMultiprocessors = 4;
constexpr std::size_t kSharedBytes = 48 << 10;

struct Settings {
  int count;
  std::size_t memory_bytes = std::size_t{8} << 30;
  int driver = CUDART_VERSION, runtime = CUDART_VERSION;
  bool peers_possible = true;

  Settings() {
    const char* text = std::getenv("CUDA_EMULATION_DEVICES");
    count = text ? std::clamp(std::atoi(text), 0, kMostDevices) : 2;
  }
};

Settings& TheSettings() {
  static auto* settings = new Settings();
  return *settings;
}

thread_local int current = 0;

bool IsDevice(int number) { return number >= 0 && number < DeviceCount(); }

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
      streams{legacy} {}

int DeviceCount() { return TheSettings().count; }
std::size_t DeviceMemoryBytes() { return TheSettings().memory_bytes; }

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

extern "C" {

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

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attr, int device) {
  return Call([&] {
    if (!IsDevice(device)) return cudaErrorInvalidDevice;
    switch (attr) {
      case cudaDevAttrMaxThreadsPerBlock:
      case cudaDevAttrMaxBlockDimX:
      case cudaDevAttrMaxBlockDimY:
        *value = kMostThreadsPerBlock;
        break;
      case cudaDevAttrMaxBlockDimZ:
        *value = 64;
        break;
      case cudaDevAttrMaxGridDimX:
        *value = 0x7fffffff;
        break;
      case cudaDevAttrMaxGridDimY:
      case cudaDevAttrMaxGridDimZ:
        *value = 65535;
        break;
      case cudaDevAttrMaxSharedMemoryPerBlock:
      case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = kSharedBytes;
        break;
      case cudaDevAttrTotalConstantMemory:
      case cudaDevAttrMaxRegistersPerBlock:
      case cudaDevAttrMaxRegistersPerMultiprocessor:
        *value = 65536;
        break;
      case cudaDevAttrWarpSize:
        *value = 32;
        break;
      case cudaDevAttrClockRate:
      case cudaDevAttrMemoryClockRate:
        *value = 1000000;  // kHz
        break;
      case cudaDevAttrMultiProcessorCount:
        *value = kMultiprocessors;
        break;
      case cudaDevAttrGlobalMemoryBusWidth:
        *value = 64;  // bits
        break;
      case cudaDevAttrL2CacheSize:
        *value = 1 << 20;
        break;
      case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = 2048;
        break;
      case cudaDevAttrMaxBlocksPerMultiprocessor:
        *value = 32;
        break;
      case cudaDevAttrPciBusId:
        *value = device + 1;
        break;
      case cudaDevAttrComputeCapabilityMajor:
        *value = kComputeMajor;
        break;
      case cudaDevAttrComputeCapabilityMinor:
        *value = kComputeMinor;
        break;
      case cudaDevAttrCanMapHostMemory:
      case cudaDevAttrConcurrentKernels:
      case cudaDevAttrAsyncEngineCount:
      case cudaDevAttrUnifiedAddressing:
      case cudaDevAttrStreamPrioritiesSupported:
      case cudaDevAttrHostRegisterSupported:
        *value = 1;
        break;
      case cudaDevAttrIntegrated:
      case cudaDevAttrComputeMode:
      case cudaDevAttrPciDeviceId:
      case cudaDevAttrPciDomainId:
      case cudaDevAttrManagedMemory:
      case cudaDevAttrPageableMemoryAccess:
      case cudaDevAttrConcurrentManagedAccess:
      case cudaDevAttrComputePreemptionSupported:
      case cudaDevAttrCooperativeLaunch:
      case cudaDevAttrMemoryPoolsSupported:
      case cudaDevAttrClusterLaunch:
        *value = 0;
        break;
      default:
        return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device) {
  *prop = {};
  const auto get = [&](cudaDeviceAttr attribute) {
    int value = 0;
    cudaDeviceGetAttribute(&value, attribute, device);
    return value;
  };
  return Call([&] {
    if (!IsDevice(device)) return cudaErrorInvalidDevice;
    std::strcpy(prop->name, "emulated GPU");
    prop->totalGlobalMem = DeviceMemoryBytes();
    prop->sharedMemPerBlock = kSharedBytes;
    prop->sharedMemPerBlockOptin = kSharedBytes;
    prop->sharedMemPerMultiprocessor = kSharedBytes;
    prop->regsPerBlock = get(cudaDevAttrMaxRegistersPerBlock);
    prop->regsPerMultiprocessor = get(cudaDevAttrMaxRegistersPerMultiprocessor);
    prop->warpSize = get(cudaDevAttrWarpSize);
    prop->maxThreadsPerBlock = get(cudaDevAttrMaxThreadsPerBlock);
    for (int i = 0; i < 3; ++i) {
      prop->maxThreadsDim[i] =
          get(static_cast<cudaDeviceAttr>(cudaDevAttrMaxBlockDimX + i));
      prop->maxGridSize[i] = get(static_cast<cudaDeviceAttr>(cudaDevAttrMaxGridDimX + i));
    }
    prop->totalConstMem = static_cast<std::size_t>(get(cudaDevAttrTotalConstantMemory));
    prop->major = kComputeMajor;
    prop->minor = kComputeMinor;
    prop->multiProcessorCount = kMultiprocessors;
    prop->canMapHostMemory = get(cudaDevAttrCanMapHostMemory);
    prop->concurrentKernels = get(cudaDevAttrConcurrentKernels);
    prop->pciBusID = get(cudaDevAttrPciBusId);
    prop->asyncEngineCount = get(cudaDevAttrAsyncEngineCount);
    prop->unifiedAddressing = get(cudaDevAttrUnifiedAddressing);
    prop->memoryBusWidth = get(cudaDevAttrGlobalMemoryBusWidth);
    prop->l2CacheSize = get(cudaDevAttrL2CacheSize);
    prop->maxThreadsPerMultiProcessor = get(cudaDevAttrMaxThreadsPerMultiProcessor);
    prop->maxBlocksPerMultiProcessor = get(cudaDevAttrMaxBlocksPerMultiprocessor);
    prop->streamPrioritiesSupported = get(cudaDevAttrStreamPrioritiesSupported);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* pciBusId, int len, int device) {
  return Call([&] {
    if (!IsDevice(device)) return cudaErrorInvalidDevice;
    int bus = 0;
    cudaDeviceGetAttribute(&bus, cudaDevAttrPciBusId, device);
    const int needed =
        std::snprintf(pciBusId, static_cast<std::size_t>(len), "0000:%02X:00.0", bus);
    return needed < len ? cudaSuccess : cudaErrorInvalidValue;
  });
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
