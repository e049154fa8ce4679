#include <vector>

#include "caffe/layers/concat_layer.hpp"
#include "caffe/layers/strips.cuh"

namespace caffe {

template <typename Dtype>
void ConcatLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  if (bottom.size() == 1) return;
  JoinOnDevice(DeviceDataOf(bottom), concat_axis_, DeviceDataOf(top[0]));
}

template <typename Dtype>
void ConcatLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  if (bottom.size() == 1) return;
  CutOnDevice(DeviceDiffOf(top[0]), concat_axis_, DeviceDiffOf(bottom), propagate_down);
}

INSTANTIATE_LAYER_GPU_FUNCS(ConcatLayer);

}  // namespace caffe
