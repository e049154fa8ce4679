#ifndef CUDA_EMULATION_LIBRARY_CALL_H_
#define CUDA_EMULATION_LIBRARY_CALL_H_

#include <cuda_runtime.h>

#include <cstddef>

// What the libraries can check of a call, and a GPU cannot: there, these mistakes are a
// fault in some kernel later on, or wrong numbers. Each is told on stderr.

namespace cuda_emulation {

/// The device that is current.
int CurrentDevice();

/// Whether `device`, which a handle was made for, is current.
bool IsCurrent(const char* function, int device);

/// Whether `stream` is the default one, or of `device`.
bool IsStreamOf(cudaStream_t stream, int device);

/// Whether `bytes` bytes from `pointer` on are device memory. No bytes always are.
bool IsOnDevice(const char* function, const char* argument, const void* pointer,
                std::size_t bytes);

/// Fills what a library may use as it likes with NaN, so that whoever keeps something
/// there loses it. Runs as work on a stream.
void Spoil(void* workspace, std::size_t bytes);

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_LIBRARY_CALL_H_
