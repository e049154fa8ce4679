#include <cmath>
#include <memory>
#include <vector>

#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"
#include "caffe/util/math_functions.hpp"

// cuDNN trains out of place. The kernels below do the rest: running statistics, which
// cuDNN has no gradient for, training in place, which it does not promise, and all of it
// in a build without cuDNN. One block per channel is enough for what is left to them.

namespace caffe {
namespace {

struct ChannelShape {
  int num, channels, spatial;
};

/// The i-th element of channel c, counted over images and positions.
__device__ size_t IndexOf(const ChannelShape& shape, int c, int i) {
  const size_t row = static_cast<size_t>(i / shape.spatial) * shape.channels + c;
  return row * shape.spatial + i % shape.spatial;
}

/// What y = scale (x - mean) inverse_std + bias takes, per channel.
template <typename Dtype>
struct Coefficients {
  const Dtype *scale, *bias, *mean, *inverse_std;

  __device__ Dtype Output(Dtype x, int c) const {
    return (x - mean[c]) * inverse_std[c] * scale[c] + bias[c];
  }
  /// The normalised input, from the input or, in place, from the output.
  __device__ Dtype Unit(Dtype value, int c, bool is_output) const {
    if (!is_output) return (value - mean[c]) * inverse_std[c];
    // With scale 0 the input is lost, and dx is 0 whatever this is.
    return scale[c] == 0 ? Dtype(0) : (value - bias[c]) / scale[c];
  }
};

template <typename Dtype>
__global__ void BatchStatistics(const ChannelShape shape, const Dtype* x,
                                const Dtype momentum, const Dtype eps,
                                Dtype* running_mean, Dtype* running_variance, Dtype* mean,
                                Dtype* inverse_std) {
  const int c = blockIdx.x;
  const int count = shape.num * shape.spatial;
  Dtype sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += x[IndexOf(shape, c, i)];
  const Dtype centre = BlockSum(sum) / count;
  // Two passes: the difference of two large sums would lose the variance.
  Dtype squares = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const Dtype distance = x[IndexOf(shape, c, i)] - centre;
    squares += distance * distance;
  }
  squares = BlockSum(squares);
  if (threadIdx.x != 0) return;
  mean[c] = centre;
  inverse_std[c] = 1 / std::sqrt(squares / count + eps);
  running_mean[c] = momentum * running_mean[c] + (1 - momentum) * centre;
  const Dtype unbiased = squares / (count > 1 ? count - 1 : 1);
  running_variance[c] = momentum * running_variance[c] + (1 - momentum) * unbiased;
}

template <typename Dtype>
__global__ void RunningStatistics(const int channels, const Dtype* running_mean,
                                  const Dtype* running_variance, const Dtype eps,
                                  Dtype* mean, Dtype* inverse_std) {
  CUDA_KERNEL_LOOP(c, channels) {
    mean[c] = running_mean[c];
    inverse_std[c] = 1 / std::sqrt(running_variance[c] + eps);
  }
}

template <typename Dtype>
__global__ void Normalize(const int count, const ChannelShape shape, const Dtype* x,
                          const Coefficients<Dtype> coefficients, const bool relu,
                          Dtype* y) {
  CUDA_KERNEL_LOOP(i, count) {
    const Dtype value = coefficients.Output(x[i], i / shape.spatial % shape.channels);
    y[i] = relu && value < 0 ? Dtype(0) : value;
  }
}

template <typename Dtype>
__global__ void Rectify(const int count, Dtype* y) {
  CUDA_KERNEL_LOOP(i, count) {
    if (y[i] < 0) y[i] = 0;
  }
}

/// The ReLU's part of backward: dy is 0 where the ReLU was not active.
template <typename Dtype>
__global__ void MaskDiff(const int count, const ChannelShape shape, const Dtype* x,
                         const Coefficients<Dtype> coefficients, Dtype* dy) {
  CUDA_KERNEL_LOOP(i, count) {
    if (!(coefficients.Output(x[i], i / shape.spatial % shape.channels) > 0)) dy[i] = 0;
  }
}

template <typename Dtype>
__global__ void BackwardSums(const ChannelShape shape, const Dtype* x,
                             const bool x_is_output, const Dtype* dy,
                             const Coefficients<Dtype> coefficients, Dtype* sum_dy,
                             Dtype* sum_dy_x) {
  const int c = blockIdx.x;
  const int count = shape.num * shape.spatial;
  Dtype sum = 0;
  Dtype product = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const size_t index = IndexOf(shape, c, i);
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
template <typename Dtype>
__global__ void BackwardData(const int count, const ChannelShape shape, const Dtype* x,
                             const bool x_is_output, const Dtype* dy,
                             const Coefficients<Dtype> coefficients, const Dtype* sum_dy,
                             const Dtype* sum_dy_x, Dtype* dx) {
  const Dtype per_channel = static_cast<Dtype>(shape.num) * shape.spatial;
  CUDA_KERNEL_LOOP(i, count) {
    const int c = i / shape.spatial % shape.channels;
    Dtype diff = dy[i];
    if (sum_dy) {
      const Dtype unit = coefficients.Unit(x[i], c, x_is_output);
      diff -= (sum_dy[c] + unit * sum_dy_x[c]) / per_channel;
    }
    dx[i] = coefficients.scale[c] * coefficients.inverse_std[c] * diff;
  }
}

template <typename Dtype>
__global__ void AddTo(const int count, const Dtype* values, Dtype* sums) {
  CUDA_KERNEL_LOOP(i, count) { sums[i] += values[i]; }
}

}  // namespace

template <typename Dtype>
struct CuDNNBatchNormLayer<Dtype>::GpuState {
  /// Of the last forward, and what backward sums, per channel.
  Blob<Dtype> mean, inverse_std, sum_dy, sum_dy_x;
  bool trained_with_cudnn = false;

  void Reshape(int channels) {
    for (Blob<Dtype>* blob : {&mean, &inverse_std, &sum_dy, &sum_dy_x}) {
      blob->Reshape({channels});
    }
  }

#ifdef USE_CUDNN
  cudnnTensorDescriptor_t data = nullptr, parameters = nullptr;

  GpuState() {
    cudnn::createTensor4dDesc<Dtype>(&data);
    cudnn::createTensor4dDesc<Dtype>(&parameters);
  }
  ~GpuState() {
    // A destructor cannot report, and an unknown descriptor is no loss.
    cudnnDestroyTensorDescriptor(data);
    cudnnDestroyTensorDescriptor(parameters);
  }
  GpuState(const GpuState&) = delete;

  // CUDNN_BATCHNORM_SPATIAL_PERSISTENT can be faster, but sums in scaled integers that
  // overflow on inputs of a wide range; a training run must not depend on that.
  static constexpr cudnnBatchNormMode_t kMode = CUDNN_BATCHNORM_SPATIAL;

  void Describe(const ChannelShape& shape) {
    cudnn::setTensor4dDesc<Dtype>(&data, shape.num, shape.channels, shape.spatial, 1);
    CUDNN_CHECK(cudnnDeriveBNTensorDescriptor(parameters, data, kMode));
  }
#endif
};

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  const int count = bottom[0]->count();
  if (count == 0) return;
  const ChannelShape shape = {bottom[0]->shape(0), bottom[0]->shape(1),
                              bottom[0]->count(2)};
  if (!gpu_) gpu_ = std::make_shared<GpuState>();
  gpu_->Reshape(shape.channels);
  Dtype* mean = gpu_->mean.mutable_gpu_data();
  Dtype* inverse_std = gpu_->inverse_std.mutable_gpu_data();
  const Coefficients<Dtype> coefficients = {
      this->blobs_[0]->gpu_data(), this->blobs_[1]->gpu_data(), mean, inverse_std};
  const Dtype eps = static_cast<Dtype>(eps_);

  input_kept_ = KeepsInput(bottom, top);
  if (input_kept_) {
    input_copy_.ReshapeLike(*bottom[0]);
    CUDA_CHECK(cudaMemcpy(input_copy_.mutable_gpu_data(), bottom[0]->gpu_data(),
                          count * sizeof(Dtype), cudaMemcpyDefault));
  }
  gpu_->trained_with_cudnn = false;
#ifdef USE_CUDNN
  // The unbiased variance of a single value is 0 / 0 to cuDNN.
  gpu_->trained_with_cudnn =
      !use_running() && bottom[0] != top[0] && shape.num * shape.spatial > 1;
  if (gpu_->trained_with_cudnn) {
    gpu_->Describe(shape);
    Dtype* y = top[0]->mutable_gpu_data();
    CUDNN_CHECK(cudnnBatchNormalizationForwardTraining(
        Caffe::cudnn_handle(), GpuState::kMode, cudnn::dataType<Dtype>::one,
        cudnn::dataType<Dtype>::zero, gpu_->data, bottom[0]->gpu_data(), gpu_->data, y,
        gpu_->parameters, coefficients.scale, coefficients.bias, 1 - momentum_,
        this->blobs_[2]->mutable_gpu_data(), this->blobs_[3]->mutable_gpu_data(), eps_,
        mean, inverse_std));
    if (relu_) {
      LaunchKernel(Rectify<Dtype>, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS, count,
                   y);
    }
    return;
  }
#endif
  const Dtype* x = bottom[0]->gpu_data();
  if (use_running()) {
    LaunchKernel(RunningStatistics<Dtype>, CAFFE_GET_BLOCKS(shape.channels),
                 CAFFE_CUDA_NUM_THREADS, shape.channels, this->blobs_[2]->gpu_data(),
                 this->blobs_[3]->gpu_data(), eps, mean, inverse_std);
  } else {
    LaunchKernel(BatchStatistics<Dtype>, shape.channels,
                 ThreadsFor(shape.num * shape.spatial), shape, x,
                 static_cast<Dtype>(momentum_), eps, this->blobs_[2]->mutable_gpu_data(),
                 this->blobs_[3]->mutable_gpu_data(), mean, inverse_std);
  }
  LaunchKernel(Normalize<Dtype>, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS, count,
               shape, x, coefficients, relu_, top[0]->mutable_gpu_data());
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  const int count = bottom[0]->count();
  if (count == 0) return;
  CHECK(gpu_) << "Backward needs a Forward in GPU mode before it";
  const ChannelShape shape = {bottom[0]->shape(0), bottom[0]->shape(1),
                              bottom[0]->count(2)};
  const Coefficients<Dtype> coefficients = {
      this->blobs_[0]->gpu_data(), this->blobs_[1]->gpu_data(), gpu_->mean.gpu_data(),
      gpu_->inverse_std.gpu_data()};
  const bool x_is_output = bottom[0] == top[0] && !input_kept_;
  const Dtype* x = input_kept_ ? input_copy_.gpu_data() : bottom[0]->gpu_data();
  if (relu_) {
    // In the top's own diff, as a ReLU in place behind this layer would.
    LaunchKernel(MaskDiff<Dtype>, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS, count,
                 shape, x, coefficients, top[0]->mutable_gpu_diff());
  }
  const Dtype* dy = top[0]->gpu_diff();
  const bool learns[] = {this->param_propagate_down_[0], this->param_propagate_down_[1]};
#ifdef USE_CUDNN
  // cuDNN computes all three gradients or none.
  if (gpu_->trained_with_cudnn && propagate_down[0] && learns[0] && learns[1]) {
    const void* one = cudnn::dataType<Dtype>::one;
    CUDNN_CHECK(cudnnBatchNormalizationBackward(
        Caffe::cudnn_handle(), GpuState::kMode, one, cudnn::dataType<Dtype>::zero, one,
        one, gpu_->data, x, gpu_->data, dy, gpu_->data, bottom[0]->mutable_gpu_diff(),
        gpu_->parameters, coefficients.scale, this->blobs_[0]->mutable_gpu_diff(),
        this->blobs_[1]->mutable_gpu_diff(), eps_, coefficients.mean,
        coefficients.inverse_std));
    return;
  }
#endif
  const bool through_statistics = propagate_down[0] && !use_running();
  Dtype* sum_dy = gpu_->sum_dy.mutable_gpu_data();
  Dtype* sum_dy_x = gpu_->sum_dy_x.mutable_gpu_data();
  if (learns[0] || learns[1] || through_statistics) {
    LaunchKernel(BackwardSums<Dtype>, shape.channels,
                 ThreadsFor(shape.num * shape.spatial), shape, x, x_is_output, dy,
                 coefficients, sum_dy, sum_dy_x);
  }
  const Dtype* sums[] = {sum_dy_x, sum_dy};
  for (int i = 0; i < 2; ++i) {
    if (!learns[i]) continue;
    LaunchKernel(AddTo<Dtype>, CAFFE_GET_BLOCKS(shape.channels), CAFFE_CUDA_NUM_THREADS,
                 shape.channels, sums[i], this->blobs_[i]->mutable_gpu_diff());
  }
  if (!propagate_down[0]) return;
  LaunchKernel(BackwardData<Dtype>, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS,
               count, shape, x, x_is_output, dy, coefficients,
               through_statistics ? sum_dy : nullptr, sum_dy_x,
               bottom[0]->mutable_gpu_diff());
}

INSTANTIATE_LAYER_GPU_FUNCS(CuDNNBatchNormLayer);

}  // namespace caffe
