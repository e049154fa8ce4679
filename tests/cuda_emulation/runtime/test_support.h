#ifndef CUDA_EMULATION_RUNTIME_TEST_SUPPORT_H_
#define CUDA_EMULATION_RUNTIME_TEST_SUPPORT_H_

#include <cuda_runtime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace cuda_emulation::test {

#define EXPECT_CUDA(call) EXPECT_EQ((call), cudaSuccess)
#define ASSERT_CUDA(call) ASSERT_EQ((call), cudaSuccess)

/// Every test begins and ends with new devices.
class RuntimeTest : public ::testing::Test {
 protected:
  RuntimeTest() { ResetAll(); }
  ~RuntimeTest() override { ResetAll(); }
};

/// Device memory of the current device, freed with its device at the latest.
template <typename T>
T* NewArray(std::size_t count) {
  T* pointer = nullptr;
  EXPECT_CUDA(cudaMalloc(&pointer, count * sizeof(T)));
  return pointer;
}

template <typename T>
T* NewArrayOf(const std::vector<T>& values) {
  T* pointer = NewArray<T>(values.size());
  EXPECT_CUDA(cudaMemcpy(pointer, values.data(), values.size() * sizeof(T),
                         cudaMemcpyHostToDevice));
  return pointer;
}

template <typename T>
std::vector<T> Read(const T* pointer, std::size_t count) {
  std::vector<T> values(count);
  EXPECT_CUDA(
      cudaMemcpy(values.data(), pointer, count * sizeof(T), cudaMemcpyDeviceToHost));
  return values;
}

/// Starts a kernel as <<<grid, block, 0, stream>>> does.
template <typename... Params, typename... Args>
cudaError_t LaunchOn(cudaStream_t stream, void (*kernel)(Params...), dim3 grid, dim3 size,
                     Args... args) {
  const cudaLaunchConfig_t config = {grid, size, 0, stream, nullptr, 0};
  return cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...);
}
template <typename... Params, typename... Args>
cudaError_t Launch(void (*kernel)(Params...), dim3 grid, dim3 size, Args... args) {
  return LaunchOn(nullptr, kernel, grid, size, args...);
}

/// Adds 1 to each of `count` numbers, with enough threads.
inline __global__ void AddOne(int count, int* values) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) values[i] += 1;
}

/// to[i] = from[i] in one block.
inline __global__ void CopyInts(const int* from, int* to) {
  to[threadIdx.x] = from[threadIdx.x];
}

}  // namespace cuda_emulation::test

#endif  // CUDA_EMULATION_RUNTIME_TEST_SUPPORT_H_
