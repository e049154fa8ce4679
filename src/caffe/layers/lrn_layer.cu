#include "caffe/layers/lrn_layer.hpp"

#include <vector>

#include "caffe/gpu/lrn.hpp"

namespace caffe {

template <typename Dtype>
void LRNLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> x = DeviceDataOf(bottom[0]);
  DeviceLrnForward(Problem(*bottom[0]), x.layout(), x, DeviceDataOf(&scale_),
                   DeviceDataOf(top[0]));
}

template <typename Dtype>
void LRNLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const DeviceTensor<Dtype> dy = DeviceDiffOf(top[0]);
  DeviceLrnBackward(Problem(*bottom[0]), dy.layout(), DeviceDataOf(bottom[0]),
                    DeviceDataOf(top[0]), DeviceDataOf(&scale_), dy,
                    DeviceDiffOf(bottom[0]));
}

INSTANTIATE_LAYER_GPU_FUNCS(LRNLayer);

}  // namespace caffe
