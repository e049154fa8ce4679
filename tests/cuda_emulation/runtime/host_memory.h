#ifndef CUDA_EMULATION_RUNTIME_HOST_MEMORY_H_
#define CUDA_EMULATION_RUNTIME_HOST_MEMORY_H_

#include <cstddef>

namespace cuda_emulation::runtime {

/// Whether all the bytes are in one piece of page-locked host memory.
bool IsPinned(const void* pointer, std::size_t bytes);

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_HOST_MEMORY_H_
