#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/hinge_functor.hpp"
#include "caffe/layers/hinge_loss_layer.hpp"
#include "caffe/layers/labels.hpp"

namespace caffe {
namespace {

template <typename T>
double SumOfHinges(int count, const Divisor classes, const Hinge<T> hinge, const T* x,
                   const int* labels) {
  return SumOverAll<1>(count, [=] __device__(int i, int, double* sums) {
    int c;
    const int sample = classes.Quotient(i, &c);
    sums[0] += hinge.Loss(x[i], labels[sample] == c);
  })[0];
}

template <typename T>
void ApplyGradient(int count, const Divisor classes, const Hinge<T> hinge, T scale,
                   const T* x, const int* labels, T* dx) {
  Map(count, dx, [=] __device__(int i) {
    int c;
    const int sample = classes.Quotient(i, &c);
    return hinge.Gradient(x[i], labels[sample] == c, scale);
  });
}

}  // namespace

template <typename Dtype>
void HingeLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const LabelledScores rows = CheckedRows(this->layer_param_, bottom);
  // One number a sample; on the host a wrong one can be named.
  ReadLabels(this->layer_param_, *bottom[1], rows, {rows.classes, false, 0},
             labels_.mutable_cpu_data());
  const double loss =
      SumOfHinges(bottom[0]->count(), Divisor(rows.classes), Hinge<Dtype>{squared_},
                  DeviceDataOf(bottom[0]).Read(), labels_.gpu_data());
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(loss / rows.outer);
}

template <typename Dtype>
void HingeLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  ApplyGradient(bottom[0]->count(), Divisor(bottom[0]->count(1)), Hinge<Dtype>{squared_},
                top[0]->cpu_diff()[0] / bottom[0]->shape(0),
                DeviceDataOf(bottom[0]).Read(), labels_.gpu_data(),
                DeviceDiffOf(bottom[0]).Write());
}

INSTANTIATE_LAYER_GPU_FUNCS(HingeLossLayer);

}  // namespace caffe
