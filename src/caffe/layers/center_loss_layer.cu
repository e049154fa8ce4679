#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/layers/center_loss_layer.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/labels.hpp"

namespace caffe {
namespace {

/// The distance of value i from its class's centre.
template <typename T>
struct CentreDistance {
  const T *x, *centres;
  const int* classes;
  Divisor length;

  CAFFE_HOST_DEVICE double operator()(int i) const {
    int k;
    const int n = length.Quotient(i, &k);
    return static_cast<double>(x[i]) - centres[classes[n] * length.divisor() + k];
  }
};

template <typename T>
double SumOfSquares(int count, const CentreDistance<T>& distance) {
  return SumOverAll<1>(count, [=] __device__(int i, int, double* sums) {
    const double d = distance(i);
    sums[0] += d * d;
  })[0];
}

// Each value of a centre looks for the samples of its class, in their order.
template <typename T>
void AddCentreGradients(int count, int samples, const CentreDistance<T>& distance,
                        T* dc) {
  ForEach(count, [=] __device__(int i) {
    int k, members = 0;
    const int c = distance.length.Quotient(i, &k);
    double sum = 0;
    for (int n = 0; n < samples; ++n) {
      if (distance.classes[n] != c) continue;
      ++members;
      sum -= distance(n * distance.length.divisor() + k);
    }
    if (members > 0) dc[i] += static_cast<T>(sum / (1 + members));
  });
}

template <typename T>
void ScaleDistances(int count, T scale, const CentreDistance<T>& distance, T* dx) {
  Map(count, dx, [=] __device__(int i) { return scale * distance(i); });
}

}  // namespace

template <typename Dtype>
void CenterLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                         const vector<Blob<Dtype>*>& top) {
  ReadClasses(*bottom[1]);
  const CentreDistance<Dtype> distance = {bottom[0]->gpu_data(),
                                          this->blobs_[0]->gpu_data(),
                                          class_of_.gpu_data(), Divisor(length_)};
  const double sum = SumOfSquares(bottom[0]->count(), distance);
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(sum / bottom[0]->shape(0) / 2);
}

template <typename Dtype>
void CenterLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                          const vector<bool>& propagate_down,
                                          const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("labels", this->layer_param_, propagate_down);
  const CentreDistance<Dtype> distance = {bottom[0]->gpu_data(),
                                          this->blobs_[0]->gpu_data(),
                                          class_of_.gpu_data(), Divisor(length_)};
  if (this->param_propagate_down_[0]) {
    AddCentreGradients(this->blobs_[0]->count(), samples_, distance,
                       this->blobs_[0]->mutable_gpu_diff());
  }
  if (!propagate_down[0]) return;
  ScaleDistances(bottom[0]->count(), top[0]->cpu_diff()[0] / bottom[0]->shape(0),
                 distance, bottom[0]->mutable_gpu_diff());
}

INSTANTIATE_LAYER_GPU_FUNCS(CenterLossLayer);

}  // namespace caffe
