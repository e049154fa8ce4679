#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/contrastive_loss_layer.hpp"
#include "caffe/layers/labels.hpp"

namespace caffe {
namespace {

template <typename T>
void Subtract(int count, const T* a, const T* b, T* diff) {
  Map(count, diff, [=] __device__(int i) { return a[i] - b[i]; });
}

template <typename T>
void SumSquares(int pairs, int length, const T* diff, T* squares) {
  SumByCoefficient<1>(
      ChannelTiles{1, pairs, length, 1},
      [=] __device__(int i, int, double* sums) {
        sums[0] += static_cast<double>(diff[i]) * diff[i];
      },
      [=] __device__(int n, const double* sums) {
        squares[n] = static_cast<T>(sums[0]);
      });
}

template <typename T>
void ScaleRows(int count, const Divisor length, T sign, const T* factors, const T* diff,
               T* to) {
  Map(count, to,
      [=] __device__(int i) { return sign * factors[length.Quotient(i)] * diff[i]; });
}

}  // namespace

template <typename Dtype>
void ContrastiveLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                              const vector<Blob<Dtype>*>& top) {
  Dtype* diff = diff_.mutable_gpu_data();
  Subtract(diff_.count(), DeviceDataOf(bottom[0]).Read(), DeviceDataOf(bottom[1]).Read(),
           diff);
  SumSquares(dist_sq_.count(), diff_.count(1), diff, dist_sq_.mutable_gpu_data());
  top[0]->mutable_cpu_data()[0] = Loss(*bottom[2]);
}

template <typename Dtype>
void ContrastiveLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                               const vector<bool>& propagate_down,
                                               const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down, 2);
  SetFactors(*bottom[2], top[0]->cpu_diff()[0]);
  for (int side = 0; side < 2; ++side) {
    if (!propagate_down[side]) continue;
    ScaleRows(diff_.count(), Divisor(diff_.count(1)), side == 0 ? Dtype(1) : Dtype(-1),
              factors_.gpu_data(), diff_.gpu_data(), DeviceDiffOf(bottom[side]).Write());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(ContrastiveLossLayer);

}  // namespace caffe
