#ifndef CAFFE_OPS_BATCH_NORM_ARITHMETIC_CUH_
#define CAFFE_OPS_BATCH_NORM_ARITHMETIC_CUH_

// Batch normalisation on a GPU, as device arrays, shapes and scalars. plugin/ compiles
// this file for other people's Caffe, of which it takes the macros and constants of
// caffe/common.hpp: C++11, and any CUDA from 10.
//
// cuDNN is not used: it has no kernel for training in place or for the gradient through
// running values, cannot take the ReLU behind along, and what it computes forward is not,
// to the bit, what can be computed again for backward. Equal inputs give equal bits.
//
// T is the type of arithmetic and parameters, S that of the elements: T, or one with
// fewer bits that converts to and from it. Sums over a channel are taken by threads in T,
// and over threads and blocks in double.

#include <cmath>

#include "caffe/common.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/channel_passes.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace batch_norm {

// --- Two sums over every channel.

template <typename T>
struct Pair {
  T first, second;
};

/// Slices that the elements of a channel are summed in, by a block each: enough blocks
/// for a large GPU, of elements enough to be worth one.
inline int SlicesOf(const DeviceShape& shape) {
  constexpr int kBlocks = 1024, kLeastElements = 1024, kMost = 64;
  const int groups =
      shape.channels_last ? (shape.channels + kWarp - 1) / kWarp : shape.channels;
  const int wanted = (kBlocks + groups - 1) / groups;
  const int worth = (shape.per_channel() + kLeastElements - 1) / kLeastElements;
  return Smaller(Smaller(wanted, worth < 1 ? 1 : worth), kMost);
}

/// sums[slice * channels + c] = sum of f(c, index) over a slice of channel c; a block
/// does one channel's.
template <typename T, typename F>
__global__ void SumRows(DeviceShape shape, int slices, F f, Pair<double>* sums) {
  const int c = blockIdx.x % shape.channels, slice = blockIdx.x / shape.channels;
  const int step = slices * blockDim.x;
  Pair<T> sum = {0, 0};
  for (int i = slice * blockDim.x + threadIdx.x; i < shape.per_channel(); i += step) {
    const Pair<T> value = f(c, shape.IndexOf(c, i));
    sum.first += value.first;
    sum.second += value.second;
  }
  const double first = BlockSum(static_cast<double>(sum.first));
  const double second = BlockSum(static_cast<double>(sum.second));
  if (threadIdx.x == 0) {
    sums[blockIdx.x].first = first;
    sums[blockIdx.x].second = second;
  }
}

/// The same with the channels last: a block does kWarp channels, each lane of its warps
/// one of them.
template <typename T, typename F>
__global__ void SumPositions(DeviceShape shape, int slices, F f, Pair<double>* sums) {
  constexpr int kWarps = kPassThreads / kWarp;
  __shared__ Pair<double> partial[kWarps][kWarp];
  const int groups = (shape.channels + kWarp - 1) / kWarp;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int c = blockIdx.x % groups * kWarp + lane, slice = blockIdx.x / groups;
  Pair<T> sum = {0, 0};
  if (c < shape.channels) {
    for (int i = slice * kWarps + warp; i < shape.per_channel(); i += slices * kWarps) {
      const Pair<T> value = f(c, shape.IndexOf(c, i));
      sum.first += value.first;
      sum.second += value.second;
    }
  }
  partial[warp][lane].first = sum.first;
  partial[warp][lane].second = sum.second;
  __syncthreads();
  if (warp != 0 || c >= shape.channels) return;
  Pair<double> total = {0, 0};
  for (int w = 0; w < kWarps; ++w) {
    total.first += partial[w][lane].first;
    total.second += partial[w][lane].second;
  }
  sums[slice * shape.channels + c] = total;
}

/// Calls finish(c, sums of channel c) for every channel.
template <typename Finish>
__global__ void FinishChannels(int channels, int slices, const Pair<double>* sums,
                               Finish finish) {
  CUDA_KERNEL_LOOP(c, channels) {
    Pair<double> total = {0, 0};
    for (int slice = 0; slice < slices; ++slice) {
      total.first += sums[slice * channels + c].first;
      total.second += sums[slice * channels + c].second;
    }
    finish(c, total);
  }
}

template <typename T, typename F, typename Finish>
void SumChannels(const DeviceShape& shape, const F& f, Pair<double>* sums,
                 const Finish& finish) {
  const int slices = SlicesOf(shape);
  if (shape.channels_last) {
    const int groups = (shape.channels + kWarp - 1) / kWarp;
    LaunchKernel(SumPositions<T, F>, groups * slices, kPassThreads, shape, slices, f,
                 sums);
  } else {
    LaunchKernel(SumRows<T, F>, shape.channels * slices,
                 ThreadsFor(shape.per_channel() / slices), shape, slices, f, sums);
  }
  LaunchKernel(FinishChannels<Finish>, CAFFE_GET_BLOCKS(shape.channels),
               CAFFE_CUDA_NUM_THREADS, shape.channels, slices,
               static_cast<const Pair<double>*>(sums), finish);
}

// --- The formulas.

/// What y = scale (x - mean) inverse_std + bias takes, per channel.
template <typename T>
struct Coefficients {
  const T *scale, *bias, *mean, *inverse_std;

  __device__ T Output(T x, int c) const {
    return (x - mean[c]) * inverse_std[c] * scale[c] + bias[c];
  }
  /// The normalised input, from the input or, in place, from the output.
  __device__ T Unit(T value, int c, bool is_output) const {
    if (!is_output) return (value - mean[c]) * inverse_std[c];
    // With scale 0 the input is lost, and dx is 0 whatever this is.
    return scale[c] == 0 ? T(0) : (value - bias[c]) / scale[c];
  }
};

/// x and its square, from the first element of the channel: sums of squares that are far
/// from 0 would lose the variance between them.
template <typename T, typename S>
struct Moments {
  DeviceShape shape;
  const S* x;

  __device__ Pair<T> operator()(int c, size_t index) const {
    const T distance = static_cast<T>(x[index]) - static_cast<T>(x[shape.IndexOf(c, 0)]);
    const Pair<T> moments = {distance, distance * distance};
    return moments;
  }
};

template <typename T, typename S>
struct BatchStatistics {
  DeviceShape shape;
  const S* x;
  double momentum, eps;
  T *running_mean, *running_variance, *mean, *inverse_std;

  __device__ void operator()(int c, const Pair<double>& sums) const {
    const double count = shape.per_channel();
    const double from_first = sums.first / count;
    const double centre = static_cast<T>(x[shape.IndexOf(c, 0)]) + from_first;
    double squares = sums.second - sums.first * from_first;
    if (squares < 0) squares = 0;
    mean[c] = static_cast<T>(centre);
    inverse_std[c] = static_cast<T>(1 / std::sqrt(squares / count + eps));
    const double unbiased = squares / (count > 1 ? count - 1 : 1);
    running_mean[c] =
        static_cast<T>(momentum * running_mean[c] + (1 - momentum) * centre);
    running_variance[c] =
        static_cast<T>(momentum * running_variance[c] + (1 - momentum) * unbiased);
  }
};

template <typename T>
__global__ void RunningStatistics(const int channels, const T* running_mean,
                                  const T* running_variance, const double eps, T* mean,
                                  T* inverse_std) {
  CUDA_KERNEL_LOOP(c, channels) {
    mean[c] = running_mean[c];
    inverse_std[c] = static_cast<T>(1 / std::sqrt(running_variance[c] + eps));
  }
}

template <typename T, typename S>
struct Normalize {
  Coefficients<T> coefficients;
  bool relu;
  const S* x;
  S* y;

  __device__ void operator()(int /*row*/, int c, size_t index) const {
    const T value = coefficients.Output(static_cast<T>(x[index]), c);
    y[index] = static_cast<S>(relu && value < 0 ? T(0) : value);
  }
};

/// dy behind the ReLU, if there is one: 0 where that was not active.
template <typename T, typename S>
struct Incoming {
  Coefficients<T> coefficients;
  bool relu;
  const S *x, *dy;

  __device__ T operator()(int c, size_t index) const {
    const bool passes = !relu || coefficients.Output(static_cast<T>(x[index]), c) > 0;
    return passes ? static_cast<T>(dy[index]) : T(0);
  }
};

template <typename T, typename S>
struct GradientSums {
  Incoming<T, S> incoming;
  bool x_is_output;

  __device__ Pair<T> operator()(int c, size_t index) const {
    const T dy = incoming(c, index);
    const T x = static_cast<T>(incoming.x[index]);
    const Pair<T> sums = {dy, dy * incoming.coefficients.Unit(x, c, x_is_output)};
    return sums;
  }
};

template <typename T>
struct KeepGradientSums {
  T *sum_dy, *sum_dy_x, *scale_diff, *bias_diff;

  __device__ void operator()(int c, const Pair<double>& sums) const {
    sum_dy[c] = static_cast<T>(sums.first);
    sum_dy_x[c] = static_cast<T>(sums.second);
    if (scale_diff) scale_diff[c] += static_cast<T>(sums.second);
    if (bias_diff) bias_diff[c] += static_cast<T>(sums.first);
  }
};

/// dx of the running statistics, which do not depend on x, when `sum_dy` is null.
template <typename T, typename S>
struct BackwardData {
  Incoming<T, S> incoming;
  bool x_is_output;
  T per_channel;
  const T *sum_dy, *sum_dy_x;
  S* dx;

  __device__ void operator()(int /*row*/, int c, size_t index) const {
    const Coefficients<T>& k = incoming.coefficients;
    T diff = incoming(c, index);
    if (sum_dy) {
      const T unit = k.Unit(static_cast<T>(incoming.x[index]), c, x_is_output);
      diff -= (sum_dy[c] + unit * sum_dy_x[c]) / per_channel;
    }
    dx[index] = static_cast<S>(k.scale[c] * k.inverse_std[c] * diff);
  }
};

/// One layer's batch normalisation: what every call is given. The workspace stays as it
/// is between forward and backward.
template <typename T>
class DeviceCall {
 public:
  /// `workspace` has WorkspaceBytes(), aligned as cudaMalloc does.
  DeviceCall(const DeviceShape& shape, const T* scale, const T* bias, double eps,
             void* workspace)
      : shape_(shape), scale_(scale), bias_(bias), eps_(eps), workspace_(workspace) {}

  static size_t WorkspaceBytes(const DeviceShape& shape) {
    return shape.channels * (SlicesOf(shape) * sizeof(Pair<double>) + 4 * sizeof(T));
  }

  /// y of the running values, which stay as they are, and of a ReLU behind with `relu`. y
  /// may be x.
  template <typename S>
  void ForwardRunning(const S* x, const T* running_mean, const T* running_variance,
                      bool relu, S* y) const {
    LaunchKernel(RunningStatistics<T>, CAFFE_GET_BLOCKS(shape_.channels),
                 CAFFE_CUDA_NUM_THREADS, shape_.channels, running_mean, running_variance,
                 eps_, mean(), inverse_std());
    Recompute(x, relu, y);
  }

  /// y of the batch's values, which enter the running ones. y may be x.
  template <typename S>
  void ForwardBatch(const S* x, double momentum, T* running_mean, T* running_variance,
                    bool relu, S* y) const {
    const Moments<T, S> moments = {shape_, x};
    const BatchStatistics<T, S> finish = {
        shape_, x, momentum, eps_, running_mean, running_variance, mean(), inverse_std()};
    SumChannels<T>(shape_, moments, sums(), finish);
    Recompute(x, relu, y);
  }

  /// y of the last forward, again.
  template <typename S>
  void Recompute(const S* x, bool relu, S* y) const {
    const Normalize<T, S> normalize = {coefficients(), relu, x, y};
    ForChannels(shape_, normalize);
  }

  /// Of the last forward, of which x is the input, or the output with `x_is_output`; the
  /// latter not with `relu`. scale_diff and bias_diff are added to; a null pointer skips
  /// one of the three results. With `used_running` the statistics do not depend on x. dx
  /// may be dy.
  template <typename S>
  void Backward(const S* x, bool x_is_output, const S* dy, bool used_running, bool relu,
                T* scale_diff, T* bias_diff, S* dx) const {
    const Incoming<T, S> incoming = {coefficients(), relu, x, dy};
    const bool through_statistics = dx && !used_running;
    if (scale_diff || bias_diff || through_statistics) {
      const GradientSums<T, S> terms = {incoming, x_is_output};
      const KeepGradientSums<T> keep = {sum_dy(), sum_dy_x(), scale_diff, bias_diff};
      SumChannels<T>(shape_, terms, sums(), keep);
    }
    if (!dx) return;
    const BackwardData<T, S> data = {incoming,
                                     x_is_output,
                                     static_cast<T>(shape_.per_channel()),
                                     through_statistics ? sum_dy() : nullptr,
                                     sum_dy_x(),
                                     dx};
    ForChannels(shape_, data);
  }

 private:
  Pair<double>* sums() const { return static_cast<Pair<double>*>(workspace_); }
  // What forward used, and the sums of backward.
  T* mean() const {
    return reinterpret_cast<T*>(sums() + shape_.channels * SlicesOf(shape_));
  }
  T* inverse_std() const { return mean() + shape_.channels; }
  T* sum_dy() const { return mean() + 2 * shape_.channels; }
  T* sum_dy_x() const { return mean() + 3 * shape_.channels; }
  Coefficients<T> coefficients() const {
    const Coefficients<T> k = {scale_, bias_, mean(), inverse_std()};
    return k;
  }

  DeviceShape shape_;
  const T *scale_, *bias_;
  double eps_;
  void* workspace_;
};

}  // namespace batch_norm
}  // namespace caffe

#endif  // CAFFE_OPS_BATCH_NORM_ARITHMETIC_CUH_
