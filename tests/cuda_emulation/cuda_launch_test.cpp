// The library's own launches, loops and sums of blocks.

#include <cuda_runtime.h>
#include <gtest/gtest.h>

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

TEST(CudaLaunchTest, KernelLoopVisitsEveryElementOnce) {
  for (const int count : {1, 511, 512, 513, 5000}) {
    for (const int blocks : {1, CAFFE_GET_BLOCKS(count)}) {
      DeviceArray<int> out(count);
      LaunchKernel(WriteIndex, blocks, CAFFE_CUDA_NUM_THREADS, count, out.get());
      const std::vector<int> values = out.Host();
      for (int i = 0; i < count; ++i) ASSERT_EQ(values[i], i);
    }
  }
}

TEST(CudaLaunchTest, BlockSumReachesEveryThread) {
  using cuda_emulation::Order;
  for (const Order order : {Order::kForward, Order::kReverse, Order::kShuffled}) {
    cuda_emulation::SetOrder(order);
    for (const int threads : {32, 64, 256, 512}) {
      DeviceArray<double> out(3 * threads);
      LaunchKernel(SumOfThreads, 3, threads, out.get());
      for (const double sum : out.Host()) ASSERT_EQ(sum, threads * (threads + 1) / 2);
    }
  }
  cuda_emulation::SetOrder(Order::kForward);
}

TEST(CudaLaunchTest, ThreadsOfABlockAreWholeWarps) {
  for (const int length : {0, 1, 49, 196, 784, 3136, 1 << 20}) {
    const int threads = ThreadsFor(length);
    EXPECT_EQ(threads % kWarp, 0);
    EXPECT_GE(threads, kWarp);
    EXPECT_LE(threads, kMostThreads);
  }
}

TEST(CudaLaunchTest, NoBlocksIsNoWork) {
  EXPECT_NO_THROW(LaunchKernel(WriteIndex, 0, 32, 0, nullptr));
}

TEST(CudaLaunchTest, ReportsABlockThatIsTooLarge) {
  EXPECT_THROW(LaunchKernel(WriteIndex, 1, 2048, 0, nullptr), RuntimeFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
}

}  // namespace
}  // namespace test
}  // namespace caffe
