#include <vector>

#include "caffe/gpu/for_each.cuh"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/smooth_l1_functor.hpp"
#include "caffe/layers/smooth_l1_loss_layer.hpp"

namespace caffe {
namespace {

template <typename Dtype>
SmoothL1Functor<Dtype> DeviceFunctorOf(const LayerParameter& param,
                                       const vector<Blob<Dtype>*>& bottom) {
  const double sigma = param.smooth_l1_loss_param().sigma();
  return {sigma * sigma, bottom[0]->gpu_data(), bottom[1]->gpu_data(),
          bottom.size() > 2 ? bottom[2]->gpu_data() : nullptr,
          bottom.size() > 3 ? bottom[3]->gpu_data() : nullptr};
}

template <typename Functor>
double SumOfValues(int count, Functor f) {
  return SumOverAll<1>(
      count, [=] __device__(int i, int, double* sums) { sums[0] += f.Value(i); })[0];
}

template <typename Functor, typename Dtype>
void WriteGradient(int count, Functor f, double factor, Dtype* to) {
  Map(count, to, [=] __device__(int i) { return factor * f.Gradient(i); });
}

}  // namespace

template <typename Dtype>
void SmoothL1LossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  const double sum =
      SumOfValues(bottom[0]->count(), DeviceFunctorOf(this->layer_param_, bottom));
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(sum / bottom[0]->shape(0));
}

template <typename Dtype>
void SmoothL1LossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  CheckGradients(propagate_down);
  const auto f = DeviceFunctorOf(this->layer_param_, bottom);
  const double scale = static_cast<double>(top[0]->cpu_diff()[0]) / bottom[0]->shape(0);
  for (int which = 0; which < 2; ++which) {
    if (!propagate_down[which]) continue;
    WriteGradient(bottom[0]->count(), f, which == 0 ? scale : -scale,
                  bottom[which]->mutable_gpu_diff());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(SmoothL1LossLayer);

}  // namespace caffe
