#include <array>
#include <vector>

#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/labels.hpp"
#include "caffe/layers/sigmoid_cross_entropy_functor.hpp"
#include "caffe/layers/sigmoid_cross_entropy_loss_layer.hpp"

namespace caffe {
namespace {

// The loss, and how many elements have a part in it.
template <typename T>
std::array<double, 2> SumLosses(int count, const SigmoidCrossEntropy<T> entropy,
                                const T* x, const T* target) {
  return SumOverAll<2>(count, [=] __device__(int i, int, double* sums) {
    sums[0] += entropy.Loss(x[i], target[i]);
    sums[1] += entropy.IsIgnored(target[i]) ? 0 : 1;
  });
}

template <typename T>
void ApplyGradient(int count, const SigmoidCrossEntropy<T> entropy, T scale, const T* x,
                   const T* target, T* dx) {
  Map(count, dx,
      [=] __device__(int i) { return entropy.Gradient(x[i], target[i], scale); });
}

}  // namespace

template <typename Dtype>
void SigmoidCrossEntropyLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                                      const vector<Blob<Dtype>*>& top) {
  const SigmoidCrossEntropy<Dtype> entropy{has_ignore_label_, ignore_label_};
  const auto [loss, valid] =
      SumLosses(bottom[0]->count(), entropy, DeviceDataOf(bottom[0]).Read(),
                DeviceDataOf(bottom[1]).Read());
  normalizer_ = this->LossNormalizer(normalization_, bottom[0]->shape(0),
                                     bottom[0]->count(1), static_cast<int>(valid));
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(loss / normalizer_);
}

template <typename Dtype>
void SigmoidCrossEntropyLossLayer<Dtype>::Backward_gpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("targets", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  const SigmoidCrossEntropy<Dtype> entropy{has_ignore_label_, ignore_label_};
  const Dtype scale = top[0]->cpu_diff()[0] / normalizer_;
  ApplyGradient(bottom[0]->count(), entropy, scale, DeviceDataOf(bottom[0]).Read(),
                DeviceDataOf(bottom[1]).Read(), DeviceDiffOf(bottom[0]).Write());
}

INSTANTIATE_LAYER_GPU_FUNCS(SigmoidCrossEntropyLossLayer);

}  // namespace caffe
