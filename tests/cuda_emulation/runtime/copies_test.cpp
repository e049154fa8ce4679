#include <cstring>
#include <numeric>

#include "test_support.h"

namespace cuda_emulation::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

class CopiesTest : public RuntimeTest {
 protected:
  CopiesTest() {
    EXPECT_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }

  int* Pinned(std::size_t count) {
    int* memory = nullptr;
    EXPECT_CUDA(cudaMallocHost(&memory, count * sizeof(int)));
    pinned_.push_back(memory);
    return memory;
  }
  ~CopiesTest() override {
    for (int* memory : pinned_) EXPECT_CUDA(cudaFreeHost(memory));
  }

  cudaStream_t stream_;
  std::vector<int*> pinned_;
};

TEST_F(CopiesTest, GoBothWaysAndWithin) {
  std::vector<int> values(5000);
  std::iota(values.begin(), values.end(), 0);
  int* first = NewArrayOf(values);
  int* second = NewArray<int>(5000);
  EXPECT_CUDA(cudaMemcpy(second, first, 5000 * sizeof(int), cudaMemcpyDeviceToDevice));
  EXPECT_EQ(Read(second, 5000), values);
  EXPECT_CUDA(cudaMemcpy(second + 10, values.data(), 4, cudaMemcpyDefault));
  EXPECT_EQ(Read(second, 11)[10], 0);
  std::vector<int> other(5000);
  EXPECT_CUDA(cudaMemcpy(other.data(), values.data(), 20000, cudaMemcpyHostToHost));
  EXPECT_EQ(other, values);
}

TEST_F(CopiesTest, WhatIsSentIsCounted) {
  int* on_device = NewArray<int>(100);
  int* other = NewArray<int>(100);
  int* pinned = Pinned(100);
  std::vector<int> values(100);
  const Given before = CountGiven();
  EXPECT_CUDA(cudaMemcpy(on_device, values.data(), 400, cudaMemcpyDefault));
  EXPECT_CUDA(cudaMemcpyAsync(on_device, pinned, 40, cudaMemcpyDefault, stream_));
  EXPECT_CUDA(cudaMemcpy(other, on_device, 400, cudaMemcpyDefault));
  EXPECT_CUDA(cudaMemcpy(values.data(), other, 400, cudaMemcpyDefault));
  EXPECT_EQ(CountGiven().bytes_sent - before.bytes_sent, 440u);
  EXPECT_EQ(CountGiven().calls - before.calls, 4u);
}

TEST_F(CopiesTest, WrongOnesAreRefused) {
  int host[2] = {};
  int* device = NewArray<int>(2);
  EXPECT_EQ(cudaMemcpy(host, device, 8, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(device, host, 8, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host, host, 8, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(device, host, 8, static_cast<cudaMemcpyKind>(7)),
            cudaErrorInvalidMemcpyDirection);
  EXPECT_EQ(cudaMemcpy(device, host, 12, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(device, nullptr, 8, cudaMemcpyDefault), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(host, 0, 8), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(device, 0, 9), cudaErrorInvalidValue);
  EXPECT_CUDA(cudaMemcpy(nullptr, nullptr, 0, cudaMemcpyDefault));
}

TEST_F(CopiesTest, OfPageableMemoryAreStaged) {
  int* device = NewArray<int>(1);
  int host = 1;
  EXPECT_CUDA(
      cudaMemcpyAsync(device, &host, sizeof(int), cudaMemcpyHostToDevice, stream_));
  host = 2;
  int back = 0;
  EXPECT_CUDA(
      cudaMemcpyAsync(&back, device, sizeof(int), cudaMemcpyDeviceToHost, stream_));
  EXPECT_EQ(back, 1) << "waited for";
}

TEST_F(CopiesTest, OfPinnedMemoryReadAndWriteWhenTheyRun) {
  int* device = NewArray<int>(1);
  int *host = Pinned(1), *back = Pinned(1);
  *host = 1;
  *back = 0;
  EXPECT_CUDA(
      cudaMemcpyAsync(device, host, sizeof(int), cudaMemcpyHostToDevice, stream_));
  EXPECT_CUDA(
      cudaMemcpyAsync(back, device, sizeof(int), cudaMemcpyDeviceToHost, stream_));
  *host = 2;  // too early
  EXPECT_EQ(*back, 0);
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
  EXPECT_EQ(*back, 2);
  *host = 3;
  EXPECT_CUDA(cudaMemcpy(device, host, sizeof(int), cudaMemcpyHostToDevice));
  *host = 4;
  EXPECT_EQ(Read(device, 1)[0], 3) << "without a stream it is waited for";
}

TEST_F(CopiesTest, WithinADeviceAreNotWaitedFor) {
  int* device = NewArrayOf<int>({1, 2});
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_CUDA(cudaMemcpy(device, device + 1, sizeof(int), cudaMemcpyDeviceToDevice));
  int* back = Pinned(1);
  EXPECT_CUDA(cudaMemcpyAsync(back, device, sizeof(int), cudaMemcpyDefault, stream_));
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
  EXPECT_EQ(*back, 1) << "a stream that does not block came first";
  EXPECT_EQ(Read(device, 1)[0], 2);
}

TEST_F(CopiesTest, OfRowsSkipWhatIsBetween) {
  std::vector<int> values(12);
  std::iota(values.begin(), values.end(), 0);
  int* device = NewArrayOf(std::vector<int>(9, -1));
  EXPECT_CUDA(cudaMemcpy2D(device, 3 * sizeof(int), values.data(), 4 * sizeof(int),
                           2 * sizeof(int), 3, cudaMemcpyHostToDevice));
  EXPECT_THAT(Read(device, 9), ElementsAre(0, 1, -1, 4, 5, -1, 8, 9, -1));
  int* packed = NewArray<int>(6);
  EXPECT_CUDA(cudaMemcpy2DAsync(packed, 8, device, 12, 8, 3, cudaMemcpyDefault, stream_));
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
  EXPECT_THAT(Read(packed, 6), ElementsAre(0, 1, 4, 5, 8, 9));
  EXPECT_EQ(cudaMemcpy2D(packed, 4, device, 12, 8, 3, cudaMemcpyDefault),
            cudaErrorInvalidPitchValue);
  EXPECT_EQ(cudaMemcpy2D(packed, 8, device, 12, 8, 4, cudaMemcpyDefault),
            cudaErrorInvalidValue);
}

TEST_F(CopiesTest, BetweenDevicesNeedNoPeers) {
  int* first = NewArrayOf<int>({1, 2});
  EXPECT_CUDA(cudaSetDevice(1));
  int *second = NewArray<int>(2), *third = NewArray<int>(2);
  EXPECT_CUDA(cudaMemcpyPeer(second, 1, first, 0, 8));
  EXPECT_THAT(Read(second, 2), ElementsAre(1, 2));
  EXPECT_CUDA(cudaMemcpyPeerAsync(third, 1, first, 0, 8, stream_));
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
  EXPECT_THAT(Read(third, 2), ElementsAre(1, 2));
  EXPECT_EQ(cudaMemcpyPeer(second, 0, first, 0, 8), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyPeer(second, 1, first, 5, 8), cudaErrorInvalidDevice);
  EXPECT_CUDA(cudaMemcpy(third, first, 4, cudaMemcpyDefault));
}

TEST_F(CopiesTest, BytesAreSet) {
  char* device = NewArray<char>(5000);
  EXPECT_CUDA(cudaMemset(device, 3, 5000));
  EXPECT_THAT(Read(device, 5000), Each(3));
  EXPECT_CUDA(cudaMemsetAsync(device, 4, 5000, stream_));
  EXPECT_THAT(Read(device, 5000), Each(3)) << "nobody waited";
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
  EXPECT_THAT(Read(device, 5000), Each(4));
  int* host = Pinned(1);
  EXPECT_CUDA(cudaMemset(host, 0, sizeof(int)));
  EXPECT_EQ(*host, 0);
}

}  // namespace
}  // namespace cuda_emulation::test
