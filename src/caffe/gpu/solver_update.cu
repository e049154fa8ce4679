// Work on the parameters of a whole net in one launch: a net has hundreds, most of them
// so small that a launch each would cost more than their arithmetic.

#include <cstring>
#include <memory>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/buffer.hpp"
#include "caffe/solvers/device_update.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

constexpr int kThreads = 256;
/// Elements that a block works on.
constexpr int kChunk = 4096;

int ChunksOf(int count) { return (count + kChunk - 1) / kChunk; }

// A list of items that kernels walk by chunks of their elements: item k has the chunks
// from first[k] to first[k + 1] - 1.
template <typename Item>
struct Chunked {
  const Item* items;
  const int* first;
  int count;

  /// The item that a chunk belongs to: the last with first <= chunk.
  __device__ int ItemOf(int chunk) const {
    int low = 0, high = count - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first[middle] <= chunk) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
};

// The list in device memory.
template <typename Item>
class ChunkedList {
 public:
  explicit ChunkedList(const std::vector<Item>& items) {
    std::vector<int> first;
    for (const Item& item : items) {
      first.push_back(chunks_);
      chunks_ += ChunksOf(item.count);
    }
    const std::size_t item_bytes = items.size() * sizeof(Item);
    const std::size_t first_bytes = first.size() * sizeof(int);
    // Together, since each copy waits for the device.
    std::vector<char> host(item_bytes + first_bytes);
    std::memcpy(host.data(), items.data(), item_bytes);
    std::memcpy(host.data() + item_bytes, first.data(), first_bytes);
    memory_ = std::make_unique<DeviceBuffer<char>>(host.size());
    device::Copy(memory_->get(), host.data(), host.size());
    list_ = {reinterpret_cast<const Item*>(memory_->get()),
             reinterpret_cast<const int*>(memory_->get() + item_bytes),
             static_cast<int>(items.size())};
  }
  const Chunked<Item>& list() const { return list_; }
  int chunks() const { return chunks_; }

 private:
  std::unique_ptr<DeviceBuffer<char>> memory_;
  Chunked<Item> list_;
  int chunks_ = 0;
};

template <typename Item>
__global__ void Update(Chunked<Item> list) {
  const int k = list.ItemOf(blockIdx.x);
  const Item& item = list.items[k];
  const int begin = (blockIdx.x - list.first[k]) * kChunk;
  const int end = item.count - begin < kChunk ? item.count : begin + kChunk;
  for (int i = begin + threadIdx.x; i < end; i += kThreads) {
    const auto step = item.rule(i, item.terms(item.diff[i], item.data[i]));
    item.diff[i] = step;
    item.data[i] -= step;
  }
}

template <typename Dtype>
__global__ void SumSquares(Chunked<DeviceArray<Dtype>> list, double* sums) {
  const int k = list.ItemOf(blockIdx.x);
  const DeviceArray<Dtype>& item = list.items[k];
  const int begin = (blockIdx.x - list.first[k]) * kChunk;
  const int end = item.count - begin < kChunk ? item.count : begin + kChunk;
  double sum = 0;
  for (int i = begin + threadIdx.x; i < end; i += kThreads) {
    sum += double{item.values[i]} * double{item.values[i]};
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

}  // namespace

template <typename Dtype, typename Rule>
void ApplyOnDevice(const std::vector<DeviceUpdate<Dtype, Rule>>& updates) {
  using Item = DeviceUpdate<Dtype, Rule>;
  if (updates.empty()) return;
  const ChunkedList<Item> list(updates);
  LaunchKernel(Update<Item>, list.chunks(), kThreads, list.list());
}

template <typename Dtype>
double SumOfSquaresOnDevice(const std::vector<DeviceArray<Dtype>>& arrays) {
  if (arrays.empty()) return 0;
  const ChunkedList<DeviceArray<Dtype>> list(arrays);
  const DeviceBuffer<double> sums(list.chunks());
  LaunchKernel(SumSquares<Dtype>, list.chunks(), kThreads, list.list(), sums.get());
  std::vector<double> of_chunks(list.chunks());
  device::Copy(of_chunks.data(), sums.get(), list.chunks() * sizeof(double));
  double total = 0;
  for (double sum : of_chunks) total += sum;
  return total;
}

INSTANTIATE_DEVICE_UPDATES(float);
INSTANTIATE_DEVICE_UPDATES(double);

}  // namespace caffe
