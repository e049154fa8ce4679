// Device and page-locked memory.

#include <cuda_emulation/control.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>

#include "api.h"
#include "capture.h"
#include "host_memory.h"
#include "streams.h"

namespace cuda_emulation::runtime {
namespace {

constexpr std::size_t kPinnedAlignment = 4096;
constexpr unsigned char kNaN = 0xff;

struct Pinned {
  std::size_t bytes;
  bool ours;  // made here, not registered
  int device;
};

std::map<std::uintptr_t, Pinned>& PinnedPieces() {
  static auto* pieces = new std::map<std::uintptr_t, Pinned>();
  return *pieces;
}

/// The piece that has the byte; the end if none does.
std::map<std::uintptr_t, Pinned>::iterator FindPinned(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  const auto next = PinnedPieces().upper_bound(address);
  if (next == PinnedPieces().begin()) return PinnedPieces().end();
  const auto piece = std::prev(next);
  return address - piece->first < piece->second.bytes ? piece : PinnedPieces().end();
}

}  // namespace

bool IsPinned(const void* pointer, std::size_t bytes) {
  const auto piece = FindPinned(pointer);
  if (piece == PinnedPieces().end()) return false;
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(pointer) - piece->first;
  return bytes <= piece->second.bytes - offset;
}

}  // namespace cuda_emulation::runtime

namespace cuda_emulation {
using namespace runtime;

bool IsDevicePointer(const void* pointer) { return IsDeviceRange(pointer, 1); }

bool IsDeviceRange(const void* pointer, std::size_t bytes) {
  const std::lock_guard lock(RuntimeMutex());
  return AllocationOf(pointer, bytes) != nullptr;
}

}  // namespace cuda_emulation

using namespace cuda_emulation::runtime;

namespace {

/// Frees or unregisters a piece that was made in the same way.
cudaError_t RemovePinned(void* pointer, bool ours, cudaError_t unknown) {
  return CallOnDevice([&](Device& device) {
    const cudaError_t refused = RefuseInCapture();
    if (refused != cudaSuccess) return refused;
    const auto piece = PinnedPieces().find(reinterpret_cast<std::uintptr_t>(pointer));
    if (piece == PinnedPieces().end() || piece->second.ours != ours) return unknown;
    FinishDevice(device);
    PinnedPieces().erase(piece);
    if (ours) std::free(pointer);
    return cudaSuccess;
  });
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** devPtr, std::size_t size) {
  return CallOnDevice([&](Device& device) {
    if (!devPtr) return cudaErrorInvalidValue;
    *devPtr = nullptr;
    const cudaError_t refused = RefuseInCapture();
    if (refused != cudaSuccess || size == 0) return refused;
    const std::size_t total = DeviceMemoryBytes();
    if (size > total || device.memory.used() > total - size) {
      return cudaErrorMemoryAllocation;
    }
    const Allocation* allocation = device.memory.Allocate(size);
    if (!allocation) return cudaErrorMemoryAllocation;
    *devPtr = reinterpret_cast<void*>(allocation->begin);
    return cudaSuccess;
  });
}

cudaError_t cudaFree(void* devPtr) {
  return CallOnDevice([&](Device& device) {
    if (!devPtr) return cudaSuccess;
    const cudaError_t refused = RefuseInCapture();
    if (refused != cudaSuccess) return refused;
    const auto address = reinterpret_cast<std::uintptr_t>(devPtr);
    Allocation* allocation = AllocationAt(address);
    if (!allocation || allocation->begin != address) return cudaErrorInvalidValue;
    Device& owner = DeviceOf(allocation->device);
    FinishDevice(owner);
    if (&owner != &device) FinishDevice(device);
    owner.memory.Free(allocation);
    return owner.fault;
  });
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  return CallOnDevice([&](Device& device) {
    const std::size_t used = device.memory.used();
    *total = DeviceMemoryBytes();
    *free = *total > used ? *total - used : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaMallocHost(void** ptr, std::size_t size) {
  return cudaHostAlloc(ptr, size, cudaHostAllocDefault);
}

cudaError_t cudaHostAlloc(void** pHost, std::size_t size, unsigned int flags) {
  return CallOnDevice([&](Device& device) {
    constexpr unsigned int kKnown =
        cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined;
    if (!pHost || (flags & ~kKnown) != 0) return cudaErrorInvalidValue;
    *pHost = nullptr;
    const cudaError_t refused = RefuseInCapture();
    if (refused != cudaSuccess || size == 0) return refused;
    std::size_t locked = 0;
    for (const auto& [address, piece] : PinnedPieces()) locked += piece.bytes;
    if (locked > LockableMemoryBytes() || size > LockableMemoryBytes() - locked) {
      return cudaErrorMemoryAllocation;
    }
    const std::size_t rounded =
        (size + kPinnedAlignment - 1) / kPinnedAlignment * kPinnedAlignment;
    void* memory = std::aligned_alloc(kPinnedAlignment, rounded);
    if (!memory) return cudaErrorMemoryAllocation;
    std::memset(memory, kNaN, rounded);
    PinnedPieces()[reinterpret_cast<std::uintptr_t>(memory)] = {size, true,
                                                                device.number};
    *pHost = memory;
    return cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* ptr) {
  return ptr ? RemovePinned(ptr, true, cudaErrorInvalidValue) : cudaSuccess;
}

cudaError_t cudaHostRegister(void* ptr, std::size_t size, unsigned int flags) {
  return CallOnDevice([&](Device& device) {
    constexpr unsigned int kKnown =
        cudaHostRegisterPortable | cudaHostRegisterMapped | cudaHostRegisterReadOnly;
    if (!ptr || size == 0 || (flags & ~kKnown) != 0) return cudaErrorInvalidValue;
    const cudaError_t refused = RefuseInCapture();
    if (refused != cudaSuccess) return refused;
    const auto address = reinterpret_cast<std::uintptr_t>(ptr);
    const auto next = PinnedPieces().upper_bound(address);
    const bool overlaps = FindPinned(ptr) != PinnedPieces().end() ||
                          (next != PinnedPieces().end() && next->first - address < size);
    if (overlaps) return cudaErrorHostMemoryAlreadyRegistered;
    PinnedPieces()[address] = {size, false, device.number};
    return cudaSuccess;
  });
}

cudaError_t cudaHostUnregister(void* ptr) {
  return RemovePinned(ptr, false, cudaErrorHostMemoryNotRegistered);
}

cudaError_t cudaHostGetDevicePointer(void** pDevice, void* pHost, unsigned int flags) {
  return CallOnDevice([&](Device&) {
    if (!pDevice || flags != 0 || FindPinned(pHost) == PinnedPieces().end()) {
      return cudaErrorInvalidValue;
    }
    *pDevice = pHost;
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* ptr) {
  return CallOnDevice([&](Device&) {
    if (!attributes) return cudaErrorInvalidValue;
    void* const pointer = const_cast<void*>(ptr);
    const auto pinned = FindPinned(ptr);
    if (const Allocation* allocation = AllocationOf(ptr, 1)) {
      *attributes = {cudaMemoryTypeDevice, allocation->device, pointer, nullptr};
    } else if (pinned != PinnedPieces().end()) {
      *attributes = {cudaMemoryTypeHost, pinned->second.device, pointer, pointer};
    } else {
      *attributes = {cudaMemoryTypeUnregistered, cudaInvalidDeviceId, nullptr, pointer};
    }
    return cudaSuccess;
  });
}
}
