// The emulation itself: what it must carry out, and the mistakes it must catch.

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(int count) : count_(count) {
    CUDA_CHECK(cudaMalloc(&pointer_, count * sizeof(T)));
  }
  ~DeviceArray() { cudaFree(pointer_); }
  T* get() const { return pointer_; }
  std::vector<T> Host() const {
    std::vector<T> values(count_);
    CUDA_CHECK(
        cudaMemcpy(values.data(), pointer_, count_ * sizeof(T), cudaMemcpyDefault));
    return values;
  }

 private:
  int count_;
  T* pointer_;
};

__global__ void WriteIndex(const int count, int* out) {
  CUDA_KERNEL_LOOP(i, count) { out[i] = i; }
}

__global__ void SumOfThreads(double* out) {
  const double sum = BlockSum(static_cast<double>(threadIdx.x + 1));
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

__global__ void ShuffleDown(const int delta, int* out) {
  out[threadIdx.x] = __shfl_down_sync(0xffffffffu, static_cast<int>(threadIdx.x), delta);
}

__global__ void BarrierInOneBranch() {
  if (threadIdx.x % 2 == 0) __syncthreads();
}

TEST(CudaRuntimeTest, KernelLoopVisitsEveryElementOnce) {
  for (const int count : {1, 511, 512, 513, 5000}) {
    for (const int blocks : {1, CAFFE_GET_BLOCKS(count)}) {
      DeviceArray<int> out(count);
      LaunchKernel(WriteIndex, blocks, CAFFE_CUDA_NUM_THREADS, count, out.get());
      const std::vector<int> values = out.Host();
      for (int i = 0; i < count; ++i) ASSERT_EQ(values[i], i);
    }
  }
}

TEST(CudaRuntimeTest, BlockSumReachesEveryThread) {
  for (const int threads : {32, 64, 256, 512}) {
    DeviceArray<double> out(3 * threads);
    LaunchKernel(SumOfThreads, 3, threads, out.get());
    for (const double sum : out.Host()) ASSERT_EQ(sum, threads * (threads + 1) / 2);
  }
}

TEST(CudaRuntimeTest, ThreadsOfABlockAreWholeWarps) {
  for (const int length : {0, 1, 49, 196, 784, 3136, 1 << 20}) {
    const int threads = ThreadsFor(length);
    EXPECT_EQ(threads % kWarp, 0);
    EXPECT_GE(threads, kWarp);
    EXPECT_LE(threads, kMostThreads);
  }
}

TEST(CudaRuntimeTest, ShuffleStaysInsideTheWarp) {
  DeviceArray<int> out(64);
  LaunchKernel(ShuffleDown, 1, 64, 5, out.get());
  const std::vector<int> values = out.Host();
  for (int i = 0; i < 64; ++i) EXPECT_EQ(values[i], i % 32 + 5 < 32 ? i + 5 : i);
}

TEST(CudaRuntimeTest, NoBlocksIsNoWork) {
  EXPECT_NO_THROW(LaunchKernel(WriteIndex, 0, 32, 0, nullptr));
}

TEST(CudaRuntimeTest, ReportsABarrierThatSomeThreadsMiss) {
  EXPECT_THROW(LaunchKernel(BarrierInOneBranch, 1, 32), RuntimeFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST(CudaRuntimeTest, ReportsABlockThatIsTooLarge) {
  EXPECT_THROW(LaunchKernel(WriteIndex, 1, 2048, 0, nullptr), RuntimeFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
}

TEST(CudaRuntimeTest, NewMemoryIsNotZero) {
  for (const float value : DeviceArray<float>(5).Host()) EXPECT_TRUE(std::isnan(value));
}

TEST(CudaRuntimeDeathTest, TheHostCannotFollowDevicePointers) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const DeviceArray<int> array(4);
  EXPECT_DEATH({ *array.get() = 1; }, "");
}

}  // namespace
}  // namespace test
}  // namespace caffe
