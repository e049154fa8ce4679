#include "library_call.h"

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

bool IsStreamOf(cudaStream_t stream, int device) {
  if (stream == nullptr || stream == cudaStreamLegacy) return true;
  int streams = -1;
  return cudaStreamGetDevice(stream, &streams) == cudaSuccess && streams == device;
}

bool IsOnDevice(const char* function, const char* argument, const void* pointer,
                std::size_t bytes) {
  if (bytes == 0) return true;
  if (IsDeviceRange(pointer, bytes)) return true;
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
