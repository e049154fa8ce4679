#include <vector>

#include "caffe/layers/axpy_layer.hpp"
#include "caffe/util/block_sum.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

template <typename Dtype>
__global__ void AxpyForwardKernel(const int count, const int spatial, const Dtype* a,
                                  const Dtype* x, const Dtype* y, Dtype* top) {
  CUDA_KERNEL_LOOP(i, count) { top[i] = a[i / spatial] * x[i] + y[i]; }
}

/// One block per (n, c): a row of `spatial` elements that share one a. All three
/// gradients come from one pass over the top diff; a null pointer skips one.
template <typename Dtype>
__global__ void AxpyBackwardKernel(const int spatial, const Dtype* top_diff,
                                   const Dtype* a, const Dtype* x, Dtype* a_diff,
                                   Dtype* x_diff, Dtype* y_diff) {
  const size_t row = blockIdx.x;
  const size_t start = row * spatial;
  Dtype sum = 0;
  for (int s = threadIdx.x; s < spatial; s += blockDim.x) {
    // Read before y_diff is written: in place, both are the same memory.
    const Dtype gradient = top_diff[start + s];
    if (a_diff) sum += gradient * x[start + s];
    if (x_diff) x_diff[start + s] = a[row] * gradient;
    if (y_diff) y_diff[start + s] = gradient;
  }
  if (a_diff) {
    sum = BlockSum(sum);
    if (threadIdx.x == 0) a_diff[row] = sum;
  }
}

}  // namespace

template <typename Dtype>
void AxpyLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const int count = bottom[1]->count();
  LaunchKernel(AxpyForwardKernel<Dtype>, CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS,
               count, bottom[1]->count(2), bottom[0]->gpu_data(), bottom[1]->gpu_data(),
               bottom[2]->gpu_data(), top[0]->mutable_gpu_data());
}

template <typename Dtype>
void AxpyLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  const int rows = bottom[0]->count();
  const int spatial = bottom[1]->count(2);
  Dtype* diffs[3];
  for (int i = 0; i < 3; ++i) {
    diffs[i] = propagate_down[i] ? bottom[i]->mutable_gpu_diff() : nullptr;
  }
  LaunchKernel(AxpyBackwardKernel<Dtype>, rows, ThreadsFor(spatial), spatial,
               top[0]->gpu_diff(), bottom[0]->gpu_data(), bottom[1]->gpu_data(), diffs[0],
               diffs[1], diffs[2]);
}

INSTANTIATE_LAYER_GPU_FUNCS(AxpyLayer);

}  // namespace caffe
