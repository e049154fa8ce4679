#include "library_call.h"

#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

namespace cuda_emulation {

int CurrentDevice() {
  int device = -1;
  cudaGetDevice(&device);
  return device;
}

bool IsCurrent(const char* function, int device) {
  const int current = CurrentDevice();
  if (current == device) return true;
  std::fprintf(stderr,
               "cuda_emulation: %s: the handle is for device %d, and device %d is "
               "current; call cudaSetDevice() before\n",
               function, device, current);
  return false;
}

bool IsOnDevice(const char* function, const char* argument, const void* pointer,
                std::size_t bytes) {
  if (bytes == 0) return true;
  const char* const first = static_cast<const char*>(pointer);
  if (pointer && IsDevicePointer(first) && IsDevicePointer(first + bytes - 1)) {
    return true;
  }
  std::fprintf(stderr,
               "cuda_emulation: %s: %s is %p, expected %zu bytes of device memory from "
               "there on\n",
               function, argument, pointer, bytes);
  return false;
}

void Spoil(void* workspace, std::size_t bytes) {
  if (bytes > 0) std::memset(workspace, 0xff, bytes);
}

}  // namespace cuda_emulation
