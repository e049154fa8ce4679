#ifndef CUDA_EMULATION_RUNTIME_API_H_
#define CUDA_EMULATION_RUNTIME_API_H_

// How every function of the runtime begins and ends.

#include <cuda_runtime_api.h>

#include <mutex>

#include "device.h"

namespace cuda_emulation::runtime {

/// One thread at a time is in the runtime, also while device code runs: that has global
/// variables, like threadIdx and all of __shared__.
std::recursive_mutex& RuntimeMutex();

/// Leaves an error for cudaGetLastError(), and returns it.
cudaError_t Report(cudaError_t error);

/// Why there is no device to use: none, a driver too old, or a call from within work.
cudaError_t WhyUnusable();

/// Counts a call that waits, for cuda_emulation_waits().
void CountWait();

/// A call that needs no particular device.
template <typename Function>
cudaError_t Call(Function function) {
  const std::lock_guard lock(RuntimeMutex());
  const cudaError_t unusable = WhyUnusable();
  return Report(unusable != cudaSuccess ? unusable : function());
}

/// A call that works on the current device; it fails if a kernel did there before.
template <typename Function>
cudaError_t CallOnDevice(Function function) {
  return Call([&] {
    Device& device = CurrentDevice();
    return device.fault != cudaSuccess ? device.fault : function(device);
  });
}

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_API_H_
