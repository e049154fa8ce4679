#ifndef CAFFE_OPS_BATCH_NORM_ARITHMETIC_CUH_
#define CAFFE_OPS_BATCH_NORM_ARITHMETIC_CUH_

// Batch normalisation on a GPU, as device arrays, shapes and scalars. plugin/ compiles
// this file for other people's Caffe, of which it takes the macros and constants of
// caffe/common.hpp: C++11, any CUDA from 10 and any cuDNN from 7.
//
// cuDNN trains out of place. The kernels below do the rest: running statistics, which
// cuDNN has no gradient for, training in place, which it does not promise, and all of it
// in a build without cuDNN. One block per channel is enough for what is left to them.

#include <cmath>

#include "caffe/common.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace batch_norm {

#ifdef USE_CUDNN
typedef cudnnHandle_t DeviceHandle;
#else
typedef void* DeviceHandle;
#endif

/// An array (num, channels, spatial), or (num, spatial, channels) with the channels last.
struct DeviceShape {
  int num, channels, spatial;
  bool channels_last;

  __device__ int ChannelOf(int index) const {
    return channels_last ? index % channels : index / spatial % channels;
  }
  /// The i-th element of channel c, counted over images and positions.
  __device__ size_t IndexOf(int c, int i) const {
    if (channels_last) return static_cast<size_t>(i) * channels + c;
    const size_t row = static_cast<size_t>(i / spatial) * channels + c;
    return row * spatial + i % spatial;
  }
};

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

template <typename T>
__global__ void BatchStatistics(const DeviceShape shape, const T* x, const T momentum,
                                const T eps, T* running_mean, T* running_variance,
                                T* mean, T* inverse_std) {
  const int c = blockIdx.x;
  const int count = shape.num * shape.spatial;
  T sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += x[shape.IndexOf(c, i)];
  const T centre = BlockSum(sum) / count;
  // Two passes: the difference of two large sums would lose the variance.
  T squares = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const T distance = x[shape.IndexOf(c, i)] - centre;
    squares += distance * distance;
  }
  squares = BlockSum(squares);
  if (threadIdx.x != 0) return;
  mean[c] = centre;
  inverse_std[c] = 1 / std::sqrt(squares / count + eps);
  running_mean[c] = momentum * running_mean[c] + (1 - momentum) * centre;
  const T unbiased = squares / (count > 1 ? count - 1 : 1);
  running_variance[c] = momentum * running_variance[c] + (1 - momentum) * unbiased;
}

template <typename T>
__global__ void RunningStatistics(const int channels, const T* running_mean,
                                  const T* running_variance, const T eps, T* mean,
                                  T* inverse_std) {
  CUDA_KERNEL_LOOP(c, channels) {
    mean[c] = running_mean[c];
    inverse_std[c] = 1 / std::sqrt(running_variance[c] + eps);
  }
}

template <typename T>
__global__ void Normalize(const int count, const DeviceShape shape, const T* x,
                          const Coefficients<T> coefficients, const bool relu, T* y) {
  CUDA_KERNEL_LOOP(i, count) {
    const T value = coefficients.Output(x[i], shape.ChannelOf(i));
    y[i] = relu && value < 0 ? T(0) : value;
  }
}

template <typename T>
__global__ void Rectify(const int count, T* y) {
  CUDA_KERNEL_LOOP(i, count) {
    if (y[i] < 0) y[i] = 0;
  }
}

/// The ReLU's part of backward: dy is 0 where the ReLU was not active.
template <typename T>
__global__ void MaskDiff(const int count, const DeviceShape shape, const T* x,
                         const Coefficients<T> coefficients, T* dy) {
  CUDA_KERNEL_LOOP(i, count) {
    if (!(coefficients.Output(x[i], shape.ChannelOf(i)) > 0)) dy[i] = 0;
  }
}

template <typename T>
__global__ void BackwardSums(const DeviceShape shape, const T* x, const bool x_is_output,
                             const T* dy, const Coefficients<T> coefficients, T* sum_dy,
                             T* sum_dy_x) {
  const int c = blockIdx.x;
  const int count = shape.num * shape.spatial;
  T sum = 0;
  T product = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const size_t index = shape.IndexOf(c, i);
    sum += dy[index];
    product += dy[index] * coefficients.Unit(x[index], c, x_is_output);
  }
  sum = BlockSum(sum);
  product = BlockSum(product);
  if (threadIdx.x == 0) {
    sum_dy[c] = sum;
    sum_dy_x[c] = product;
  }
}

/// dx of the running statistics, which do not depend on x, when `sum_dy` is null.
template <typename T>
__global__ void BackwardData(const int count, const DeviceShape shape, const T* x,
                             const bool x_is_output, const T* dy,
                             const Coefficients<T> coefficients, const T* sum_dy,
                             const T* sum_dy_x, T* dx) {
  const T per_channel = static_cast<T>(shape.num) * shape.spatial;
  CUDA_KERNEL_LOOP(i, count) {
    const int c = shape.ChannelOf(i);
    T diff = dy[i];
    if (sum_dy) {
      const T unit = coefficients.Unit(x[i], c, x_is_output);
      diff -= (sum_dy[c] + unit * sum_dy_x[c]) / per_channel;
    }
    dx[i] = coefficients.scale[c] * coefficients.inverse_std[c] * diff;
  }
}

template <typename T>
__global__ void AddTo(const int count, const T* values, T* sums) {
  CUDA_KERNEL_LOOP(i, count) { sums[i] += values[i]; }
}

/// One layer's batch normalisation: what every call is given.
template <typename T>
struct DeviceCall {
  DeviceHandle handle;
  DeviceShape shape;
  const T *scale, *bias;
  double eps;
  /// kWorkspace values per channel, which stay between forward and backward.
  T* workspace;

  static constexpr int kWorkspace = 4;
  int count() const { return shape.num * shape.channels * shape.spatial; }
  /// Threads for a block that walks a channel.
  int threads() const { return ThreadsFor(shape.num * shape.spatial); }
  // What forward used, and the sums of backward.
  T* mean() const { return workspace; }
  T* inverse_std() const { return workspace + shape.channels; }
  T* sum_dy() const { return workspace + 2 * shape.channels; }
  T* sum_dy_x() const { return workspace + 3 * shape.channels; }
  Coefficients<T> coefficients() const { return {scale, bias, mean(), inverse_std()}; }
};

/// Starts `kernel` with a thread for each of `count` elements.
template <typename... Params, typename... Args>
void LaunchFor(int count, void (*kernel)(int, Params...), Args... args) {
  LaunchKernel(kernel, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS, count, args...);
}

template <typename T>
class Device {
 public:
  typedef DeviceCall<T> Call;

  Device() {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// y of the running values, which stay as they are. y may be x.
  void ForwardRunning(const Call& call, const T* x, const T* running_mean,
                      const T* running_variance, bool relu, T* y) {
    by_cudnn_ = false;
    LaunchFor(call.shape.channels, RunningStatistics<T>, running_mean, running_variance,
              static_cast<T>(call.eps), call.mean(), call.inverse_std());
    Apply(call, x, relu, y);
  }

  /// y of the batch's values, which enter the running ones. y may be x.
  void ForwardBatch(const Call& call, const T* x, double momentum, T* running_mean,
                    T* running_variance, bool relu, T* y) {
    by_cudnn_ = CudnnForward(call, x, momentum, running_mean, running_variance, y);
    if (by_cudnn_) {
      if (relu) LaunchFor(call.count(), Rectify<T>, y);
      return;
    }
    LaunchKernel(BatchStatistics<T>, call.shape.channels, call.threads(), call.shape, x,
                 static_cast<T>(momentum), static_cast<T>(call.eps), running_mean,
                 running_variance, call.mean(), call.inverse_std());
    Apply(call, x, relu, y);
  }

  /// y of the last forward again.
  void Recompute(const Call& call, const T* x, bool relu, T* y) {
    Apply(call, x, relu, y);
  }

  /// The ReLU's part of backward: dy is set to 0 where the ReLU was not active.
  void Mask(const Call& call, const T* x, T* dy) {
    LaunchFor(call.count(), MaskDiff<T>, call.shape, x, call.coefficients(), dy);
  }

  /// Of the last forward, of which x is the input, or the output with `x_is_output`.
  /// scale_diff and bias_diff are added to; a null pointer skips one of the three
  /// results. With `used_running` the statistics do not depend on x.
  void Backward(const Call& call, const T* x, bool x_is_output, const T* dy,
                bool used_running, T* scale_diff, T* bias_diff, T* dx) {
    // cuDNN computes all three gradients or none.
    if (by_cudnn_ && scale_diff && bias_diff && dx) {
      CudnnBackward(call, x, dy, scale_diff, bias_diff, dx);
      return;
    }
    const bool through_statistics = dx && !used_running;
    if (scale_diff || bias_diff || through_statistics) {
      LaunchKernel(BackwardSums<T>, call.shape.channels, call.threads(), call.shape, x,
                   x_is_output, dy, call.coefficients(), call.sum_dy(), call.sum_dy_x());
    }
    if (scale_diff) LaunchFor(call.shape.channels, AddTo<T>, call.sum_dy_x(), scale_diff);
    if (bias_diff) LaunchFor(call.shape.channels, AddTo<T>, call.sum_dy(), bias_diff);
    if (!dx) return;
    LaunchFor(call.count(), BackwardData<T>, call.shape, x, x_is_output, dy,
              call.coefficients(), through_statistics ? call.sum_dy() : nullptr,
              call.sum_dy_x(), dx);
  }

#ifdef USE_CUDNN
  ~Device() {
    // A destructor cannot report, and an unknown descriptor is no loss.
    if (data_) cudnnDestroyTensorDescriptor(data_);
    if (parameters_) cudnnDestroyTensorDescriptor(parameters_);
  }
#endif

 private:
  void Apply(const Call& call, const T* x, bool relu, T* y) {
    LaunchFor(call.count(), Normalize<T>, call.shape, x, call.coefficients(), relu, y);
  }

#ifdef USE_CUDNN
  // CUDNN_BATCHNORM_SPATIAL_PERSISTENT can be faster, but sums in scaled integers that
  // overflow on inputs of a wide range; a training run must not depend on that.
  static constexpr cudnnBatchNormMode_t kMode = CUDNN_BATCHNORM_SPATIAL;

  // False where cuDNN is not to be used. To it, the unbiased variance of a single value
  // is 0 / 0.
  bool CudnnForward(const Call& call, const T* x, double momentum, T* running_mean,
                    T* running_variance, T* y) {
    if (x == y || call.shape.num * call.shape.spatial == 1) return false;
    if (!data_) CUDNN_CHECK(cudnnCreateTensorDescriptor(&data_));
    if (!parameters_) CUDNN_CHECK(cudnnCreateTensorDescriptor(&parameters_));
    const DeviceShape& shape = call.shape;
    const int image = shape.channels * shape.spatial;
    const int channel = shape.channels_last ? 1 : shape.spatial;
    const int position = shape.channels_last ? shape.channels : 1;
    CUDNN_CHECK(cudnnSetTensor4dDescriptorEx(
        data_, sizeof(T) == sizeof(float) ? CUDNN_DATA_FLOAT : CUDNN_DATA_DOUBLE,
        shape.num, shape.channels, shape.spatial, 1, image, channel, position, position));
    CUDNN_CHECK(cudnnDeriveBNTensorDescriptor(parameters_, data_, kMode));
    const T one = 1, zero = 0;
    CUDNN_CHECK(cudnnBatchNormalizationForwardTraining(
        call.handle, kMode, &one, &zero, data_, x, data_, y, parameters_, call.scale,
        call.bias, 1 - momentum, running_mean, running_variance, call.eps, call.mean(),
        call.inverse_std()));
    return true;
  }
  void CudnnBackward(const Call& call, const T* x, const T* dy, T* scale_diff,
                     T* bias_diff, T* dx) {
    const T one = 1, zero = 0;
    CUDNN_CHECK(cudnnBatchNormalizationBackward(
        call.handle, kMode, &one, &zero, &one, &one, data_, x, data_, dy, data_, dx,
        parameters_, call.scale, scale_diff, bias_diff, call.eps, call.mean(),
        call.inverse_std()));
  }

  cudnnTensorDescriptor_t data_ = nullptr, parameters_ = nullptr;
#else
  bool CudnnForward(const Call&, const T*, double, T*, T*, T*) { return false; }
  void CudnnBackward(const Call&, const T*, const T*, T*, T*, T*) {}
#endif
  bool by_cudnn_ = false;
};

}  // namespace batch_norm
}  // namespace caffe

#endif  // CAFFE_OPS_BATCH_NORM_ARITHMETIC_CUH_
