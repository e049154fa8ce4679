// The two passes of a Selective Kernel unit over its branches, on a GPU.

#include <algorithm>
#include <vector>

#include "caffe/gpu/element.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/ops/branches.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/channel_passes.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

template <typename T, typename S>
struct Branches {
  const S* data[kMostDeviceBranches];
  int count;

  __device__ T Sum(size_t i) const {
    T sum = static_cast<T>(data[0][i]);
    for (int b = 1; b < count; ++b) sum += static_cast<T>(data[b][i]);
    return sum;
  }
};

// One block a plane (n, c).
template <typename T, typename S>
__global__ void AveragePlanes(Branches<T, S> branches, int spatial, T* mean) {
  T sum = 0;
  const size_t first = static_cast<size_t>(blockIdx.x) * spatial;
  for (int s = threadIdx.x; s < spatial; s += blockDim.x) sum += branches.Sum(first + s);
  const double total = BlockSum(static_cast<double>(sum));
  if (threadIdx.x == 0) mean[blockIdx.x] = static_cast<T>(total / spatial);
}

// One block for kWarp neighbouring channels of an image: a warp reads them side by side,
// and the warps of the block take turns at the positions.
template <typename T, typename S>
__global__ void AverageChannels(Branches<T, S> branches, int channels, int spatial,
                                T* mean) {
  constexpr int kWarps = kPassThreads / kWarp;
  __shared__ double partial[kWarps][kWarp];
  const int groups = (channels + kWarp - 1) / kWarp;
  const int n = blockIdx.x / groups;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int c = blockIdx.x % groups * kWarp + lane;
  T sum = 0;
  if (c < channels) {
    for (int s = warp; s < spatial; s += kWarps) {
      sum += branches.Sum((static_cast<size_t>(n) * spatial + s) * channels + c);
    }
  }
  partial[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || c >= channels) return;
  double total = 0;
  for (int w = 0; w < kWarps; ++w) total += partial[w][lane];
  mean[n * channels + c] = static_cast<T>(total / spatial);
}

template <typename T, typename S>
struct Weigh {
  const T* a;
  const S* x;
  const T* b;
  const S* y;
  S* out;

  __device__ void operator()(int row, int /*c*/, size_t i) const {
    out[i] =
        static_cast<S>(a[row] * static_cast<T>(x[i]) + b[row] * static_cast<T>(y[i]));
  }
};

}  // namespace

template <typename T>
void AverageOfSumOnDevice(const std::vector<Blob<T>*>& branches, Blob<T>* mean) {
  const int count = branches[0]->count();
  if (count == 0) return;
  CHECK_LE(static_cast<int>(branches.size()), kMostDeviceBranches);
  std::vector<DeviceTensor<T>> tensors;
  for (const Blob<T>* branch : branches) tensors.push_back(DeviceDataOf(branch));
  const DeviceFormat format = CommonFormat(tensors);
  const int channels = branches[0]->shape(1), spatial = branches[0]->count(2);
  T* out = DeviceDataOf(mean).Write();
  WithElement<T>(format.type, [&]<typename S>(S) {
    Branches<T, S> read = {};
    for (const auto& tensor : tensors) {
      read.data[read.count++] = static_cast<const S*>(tensor.ReadAs(format));
    }
    if (format.layout == DeviceLayout::kPlain) {
      LaunchKernel(AveragePlanes<T, S>, count / spatial, ThreadsFor(spatial), read,
                   spatial, out);
    } else {
      const int groups = (channels + kWarp - 1) / kWarp;
      LaunchKernel(AverageChannels<T, S>, branches[0]->shape(0) * groups, kPassThreads,
                   read, channels, spatial, out);
    }
  });
}

template <typename T>
void WeightedSumOnDevice(const Blob<T>& a, const Blob<T>& x, const Blob<T>& b,
                         const Blob<T>& y, Blob<T>* out) {
  if (x.count() == 0) return;
  const DeviceTensor<T> xs = DeviceDataOf(&x), ys = DeviceDataOf(&y);
  const DeviceFormat format = CommonFormat<T>({xs, ys});
  const DeviceShape shape = {x.shape(0), x.shape(1), x.count(2),
                             format.layout == DeviceLayout::kChannelsLast};
  WithElement<T>(format.type, [&]<typename S>(S) {
    const Weigh<T, S> weigh = {a.gpu_data(), static_cast<const S*>(xs.ReadAs(format)),
                               b.gpu_data(), static_cast<const S*>(ys.ReadAs(format)),
                               static_cast<S*>(DeviceDataOf(out).WriteAs(format))};
    ForChannels(shape, weigh);
  });
}

INSTANTIATE_DEVICE_BRANCHES(float);
INSTANTIATE_DEVICE_BRANCHES(double);

}  // namespace caffe
