// The two passes of a Selective Kernel unit over its branches, on a GPU.

#include <algorithm>
#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "caffe/ops/branches.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

template <typename T>
struct Branches {
  const T* data[kMostDeviceBranches];
  int count;

  __device__ T Sum(int i) const {
    T sum = data[0][i];
    for (int b = 1; b < count; ++b) sum += data[b][i];
    return sum;
  }
};

// One block a plane (n, c).
template <typename T>
__global__ void AveragePlanes(Branches<T> branches, int spatial, T* mean) {
  T sum = 0;
  const int first = blockIdx.x * spatial;
  for (int s = threadIdx.x; s < spatial; s += blockDim.x) sum += branches.Sum(first + s);
  const double total = BlockSum(static_cast<double>(sum));
  if (threadIdx.x == 0) mean[blockIdx.x] = static_cast<T>(total / spatial);
}

// One block for kWarp neighbouring channels of an image: a warp reads them side by side,
// and the warps of the block take turns at the positions.
template <typename T>
__global__ void AverageChannels(Branches<T> branches, int channels, int spatial,
                                T* mean) {
  constexpr int kWarps = 8;
  __shared__ double partial[kWarps][kWarp];
  const int groups = (channels + kWarp - 1) / kWarp;
  const int n = blockIdx.x / groups;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int c = blockIdx.x % groups * kWarp + lane;
  T sum = 0;
  if (c < channels) {
    for (int s = warp; s < spatial; s += kWarps) {
      sum += branches.Sum((n * spatial + s) * channels + c);
    }
  }
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || c >= channels) return;
  double total = 0;
  for (int w = 0; w < kWarps; ++w) total += partial[w][lane];
  mean[n * channels + c] = static_cast<T>(total / spatial);
}

// (num, channels, spatial), or with the channels last.
template <typename T>
__global__ void Weigh(int count, int channels, int spatial, bool channels_last,
                      const T* a, const T* x, const T* b, const T* y, T* out) {
  CUDA_KERNEL_LOOP(i, count) {
    const int row =
        channels_last ? i / (spatial * channels) * channels + i % channels : i / spatial;
    out[i] = a[row] * x[i] + b[row] * y[i];
  }
}

}  // namespace

template <typename T>
void AverageOfSumOnDevice(const std::vector<Blob<T>*>& branches, Blob<T>* mean) {
  const int count = branches[0]->count();
  if (count == 0) return;
  CHECK_LE(static_cast<int>(branches.size()), kMostDeviceBranches);
  std::vector<DeviceTensor<T>> tensors;
  for (const Blob<T>* branch : branches) tensors.push_back(DeviceDataOf(branch));
  const DeviceLayout layout = CommonLayout(tensors);
  Branches<T> read = {};
  for (const auto& tensor : tensors) read.data[read.count++] = tensor.Read(layout);
  const int channels = branches[0]->shape(1), spatial = branches[0]->count(2);
  T* out = DeviceDataOf(mean).Write();
  if (layout == DeviceLayout::kPlain) {
    LaunchKernel(AveragePlanes<T>, count / spatial, ThreadsFor(spatial), read, spatial,
                 out);
  } else {
    constexpr int kThreads = 256;
    const int groups = (channels + kWarp - 1) / kWarp;
    LaunchKernel(AverageChannels<T>, branches[0]->shape(0) * groups, kThreads, read,
                 channels, spatial, out);
  }
}

template <typename T>
void WeightedSumOnDevice(const Blob<T>& a, const Blob<T>& x, const Blob<T>& b,
                         const Blob<T>& y, Blob<T>* out) {
  const int count = x.count();
  if (count == 0) return;
  const DeviceTensor<T> xs = DeviceDataOf(&x), ys = DeviceDataOf(&y);
  const DeviceLayout layout = CommonLayout<T>({xs, ys});
  LaunchKernel(Weigh<T>, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS, count,
               x.shape(1), x.count(2), layout == DeviceLayout::kChannelsLast,
               a.gpu_data(), xs.Read(layout), b.gpu_data(), ys.Read(layout),
               DeviceDataOf(out).Write(layout));
}

INSTANTIATE_DEVICE_BRANCHES(float);
INSTANTIATE_DEVICE_BRANCHES(double);

}  // namespace caffe
