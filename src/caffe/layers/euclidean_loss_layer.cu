#include <vector>

#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/euclidean_loss_layer.hpp"

namespace caffe {
namespace {

// An element has the same place in both only if they have one shape.
template <typename Dtype>
DeviceLayout LayoutOfBoth(const vector<Blob<Dtype>*>& bottom) {
  return bottom[0]->shape() == bottom[1]->shape() ? DeviceDataOf(bottom[0]).layout()
                                                  : DeviceLayout::kPlain;
}

template <typename T>
double SumOfSquaredDifferences(int count, const T* a, const T* b) {
  return SumOverAll<1>(count, [=] __device__(int i, int, double* sums) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sums[0] += difference * difference;
  })[0];
}

template <typename T>
void ScaleDifferences(int count, T scale, const T* a, const T* b, T* to) {
  Map(count, to, [=] __device__(int i) { return scale * (a[i] - b[i]); });
}

}  // namespace

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  const DeviceLayout layout = LayoutOfBoth(bottom);
  const double sum =
      SumOfSquaredDifferences(bottom[0]->count(), DeviceDataOf(bottom[0]).Read(layout),
                              DeviceDataOf(bottom[1]).Read(layout));
  top[0]->mutable_cpu_data()[0] = static_cast<Dtype>(sum / bottom[0]->shape(0) / 2);
}

template <typename Dtype>
void EuclideanLossLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                             const vector<bool>& propagate_down,
                                             const vector<Blob<Dtype>*>& bottom) {
  const DeviceLayout layout = LayoutOfBoth(bottom);
  const Dtype* a = DeviceDataOf(bottom[0]).Read(layout);
  const Dtype* b = DeviceDataOf(bottom[1]).Read(layout);
  const Dtype scale = top[0]->cpu_diff()[0] / bottom[0]->shape(0);
  const int count = bottom[0]->count();
  if (propagate_down[0]) {
    ScaleDifferences(count, scale, a, b, DeviceDiffOf(bottom[0]).Write(layout));
  }
  if (propagate_down[1]) {
    ScaleDifferences(count, scale, b, a, DeviceDiffOf(bottom[1]).Write(layout));
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(EuclideanLossLayer);

}  // namespace caffe
