#include <cmath>
#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/labels.hpp"
#include "caffe/layers/multinomial_logistic_loss_layer.hpp"

namespace caffe {
namespace {

template <typename T>
__device__ T AtLeast(T least, T p) {
  return p < least ? least : p;
}

template <typename T>
double SumOfLogs(int samples, int classes, T least, const T* p, const int* labels) {
  return SumOverAll<1>(samples, [=] __device__(int n, int, double* sums) {
    sums[0] += std::log(static_cast<double>(AtLeast(least, p[n * classes + labels[n]])));
  })[0];
}

template <typename T>
void ApplyGradient(int count, const Divisor classes, T least, T scale, const T* p,
                   const int* labels, T* dp) {
  Map(count, dp, [=] __device__(int i) {
    int c;
    const int sample = classes.Quotient(i, &c);
    return labels[sample] == c ? scale / AtLeast(least, p[i]) : T(0);
  });
}

}  // namespace

template <typename Dtype>
void MultinomialLogisticLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                                      const vector<Blob<Dtype>*>& top) {
  const LabelledScores rows = CheckedRows(this->layer_param_, bottom);
  // One number a sample; on the host a wrong one can be named.
  ReadLabels(this->layer_param_, *bottom[1], rows, {rows.classes, false, 0},
             labels_.mutable_cpu_data());
  const double sum = SumOfLogs(rows.outer, rows.classes, Dtype(kLOG_THRESHOLD),
                               DeviceDataOf(bottom[0]).Read(), labels_.gpu_data());
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(-sum / rows.outer);
}

template <typename Dtype>
void MultinomialLogisticLossLayer<Dtype>::Backward_gpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  ApplyGradient(bottom[0]->count(), Divisor(bottom[0]->count(1)), Dtype(kLOG_THRESHOLD),
                -top[0]->cpu_diff()[0] / bottom[0]->shape(0),
                DeviceDataOf(bottom[0]).Read(), labels_.gpu_data(),
                DeviceDiffOf(bottom[0]).Write());
}

INSTANTIATE_LAYER_GPU_FUNCS(MultinomialLogisticLossLayer);

}  // namespace caffe
