#ifndef CUDA_EMULATION_CUDA_RUNTIME_H_
#define CUDA_EMULATION_CUDA_RUNTIME_H_

// The part of the CUDA runtime that a GPU backend uses, carried out by the processor, so
// that .cu files run in tests where there is no GPU. Results made with it are emulated:
// they check a program's logic, not its speed or a device. C++11 is enough for it.
//
// Threads of a block run one after another on one thread of the process, and so do
// blocks, in an order that tests choose; every run is the same. Streams delay their work
// until something waits for it, so that a missing wait shows as wrong data.
// CUDA_LAUNCH_BLOCKING=1 in the environment has it done at once.
//
// Found and reported, with the kernel, block and thread:
// - use of memory that is not the device's, was freed, is another device's, or lies
//   past the end of an allocation. Ends are rounded up to the 256 bytes to which CUDA
//   aligns memory, and touch a closed page; what is written between the end and the next
//   multiple of 256, and in the 256 bytes before the start, is found after the kernel.
//   What is read there is NaN.
// - a barrier or shuffle that not all threads reach;
// - host code that follows a device pointer, which ends the process, after a sentence.
// A fault of a kernel is an error that stays until cudaDeviceReset(), as CUDA's does.
// Not found: kernels that use the host's memory, and races within a block, beyond what
// another order of its threads shows.

#include <cstddef>

#include <cuda_runtime_api.h>
#include <driver_types.h>
#include <vector_functions.h>
#include <vector_types.h>

#include <cuda_emulation/control.h>
#include <cuda_emulation/device_functions.h>
#include <cuda_emulation/launch.h>

template <typename T>
cudaError_t cudaMalloc(T** devPtr, std::size_t size) {
  return cudaMalloc(reinterpret_cast<void**>(devPtr), size);
}
template <typename T>
cudaError_t cudaMallocHost(T** ptr, std::size_t size, unsigned int flags = 0) {
  return cudaHostAlloc(reinterpret_cast<void**>(ptr), size, flags);
}
template <typename T>
cudaError_t cudaHostAlloc(T** ptr, std::size_t size, unsigned int flags) {
  return cudaHostAlloc(reinterpret_cast<void**>(ptr), size, flags);
}

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
// One block runs at a time, so the variables of a block may be static. Their content is
// that of the block before, as it may be on a device.
#define __shared__ static

#endif  // CUDA_EMULATION_CUDA_RUNTIME_H_
