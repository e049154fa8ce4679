// What a device says that it is: a small one, which has what programs ask for.

#include <cstdio>
#include <cstring>

#include "api.h"
#include "device.h"

using namespace cuda_emulation::runtime;

namespace {

// Enough for every number format and instruction that libraries choose by it.
constexpr int kComputeMajor = 8, kComputeMinor = 0;
constexpr int kMultiprocessors = 4;
constexpr std::size_t kSharedBytes = 48 << 10;

}  // namespace

extern "C" {

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
    char text[] = "0000:00:00.0";
    if (!pciBusId || len < static_cast<int>(sizeof(text))) return cudaErrorInvalidValue;
    std::snprintf(text, sizeof(text), "0000:%02x:00.0", device + 1);
    std::memcpy(pciBusId, text, sizeof(text));
    return cudaSuccess;
  });
}
}
