#ifndef CUDA_EMULATION_CUDA_RUNTIME_H_
#define CUDA_EMULATION_CUDA_RUNTIME_H_

// The part of the CUDA runtime that this project uses, carried out by the processor, so
// that the .cu files of the library run in tests where there is no GPU. Results made
// with it are emulated: they check a kernel's logic, not its speed or a device.
//
// Threads of a block are coroutines on one thread of the process, and blocks run one
// after another, so every run is the same. Device memory can be read and written only
// while a kernel or a copy runs: host code that follows a device pointer crashes. A
// barrier or shuffle that not all threads reach is reported as a failed launch.

#include <cstddef>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
// One block runs at a time, so the variables of a block may be static.
#define __shared__ static

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidDevice = 101,
  cudaErrorLaunchFailure = 719,
};

enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4,
};

struct uint3 {
  unsigned int x, y, z;
};

struct dim3 {
  unsigned int x, y, z;
  constexpr dim3(unsigned int x = 1, unsigned int y = 1, unsigned int z = 1)
      : x(x), y(y), z(z) {}
};

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;

// Set before a kernel's thread goes on.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
constexpr int warpSize = 32;

extern "C" {
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
/// New memory holds NaN.
cudaError_t cudaMalloc(void** pointer, std::size_t size);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind kind);
cudaError_t cudaMemset(void* pointer, int value, std::size_t size);
}

template <typename T>
cudaError_t cudaMalloc(T** pointer, std::size_t size) {
  return cudaMalloc(reinterpret_cast<void**>(pointer), size);
}

namespace cuda_emulation {

/// Runs `thread` once for every thread of the grid.
cudaError_t RunGrid(dim3 grid, dim3 block, const std::function<void()>& thread);

/// Device memory can be reached while one of these lives.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
};

/// Has `work` done in the order of `stream`, with access to device memory.
cudaError_t Enqueue(cudaStream_t stream, std::function<void()> work);

/// Whether `pointer` was made by cudaMalloc().
bool IsDevicePointer(const void* pointer);

/// Leaves `size` bytes of this thread for the others of its warp, waits until all have,
/// and takes what thread `lane` of the warp left.
void Exchange(const void* mine, void* theirs, std::size_t size, int lane);

}  // namespace cuda_emulation

void __syncthreads();

/// Only full masks are used here; another one is not emulated.
template <typename T>
T __shfl_down_sync(unsigned int /*mask*/, T value, unsigned int delta) {
  static_assert(std::is_arithmetic<T>::value, "as CUDA's own");
  const int lane = static_cast<int>(threadIdx.x) % warpSize;
  const int source = lane + static_cast<int>(delta);
  T result;
  cuda_emulation::Exchange(&value, &result, sizeof(T), source < warpSize ? source : lane);
  return result;
}

namespace cuda_emulation {

template <std::size_t... I>
struct Indices {};
template <std::size_t N, std::size_t... I>
struct IndicesBelow : IndicesBelow<N - 1, N - 1, I...> {};
template <std::size_t... I>
struct IndicesBelow<0, I...> {
  typedef Indices<I...> Type;
};

template <typename... Params, std::size_t... I>
void Call(void (*kernel)(Params...), void** args, Indices<I...>) {
  kernel(*static_cast<Params*>(args[I])...);
}

}  // namespace cuda_emulation

template <typename... Params>
cudaError_t cudaLaunchKernel(void (*kernel)(Params...), dim3 grid, dim3 block,
                             void** args, std::size_t /*shared_memory*/,
                             cudaStream_t /*stream*/) {
  return cuda_emulation::RunGrid(grid, block, [=] {
    cuda_emulation::Call(
        kernel, args, typename cuda_emulation::IndicesBelow<sizeof...(Params)>::Type());
  });
}

#endif  // CUDA_EMULATION_CUDA_RUNTIME_H_
