#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/split_layer.hpp"
#include "caffe/layers/weighted_sum.cuh"

namespace caffe {

template <typename Dtype>
void SplitLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  for (Blob<Dtype>* t : top) t->ShareData(*bottom[0]);
}

template <typename Dtype>
void SplitLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const vector<DeviceTensor<Dtype>> diffs = DeviceDiffOf(top);
  const DeviceTensor<Dtype> to = DeviceDiffOf(bottom[0]);
  const DeviceFormat format = CommonFormat(diffs);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    vector<Summand<Dtype, S>> dy;
    for (const DeviceTensor<Dtype>& diff : diffs) {
      dy.push_back({1, ReadElements<S>(diff, format)});
    }
    S* dx = WriteElements<S>(to, format);
    if (dy.size() == 1) {
      device::Copy(dx, dy[0].values, to.count() * sizeof(S));
    } else {
      WeightedSum(to.count(), dy, dx);
    }
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(SplitLayer);

}  // namespace caffe
