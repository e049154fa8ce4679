#include <vector>

#include "caffe/layers/slice_layer.hpp"
#include "caffe/layers/strips.cuh"

namespace caffe {

template <typename Dtype>
void SliceLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  if (top.size() == 1) return;
  CutOnDevice(DeviceDataOf(bottom[0]), slice_axis_, DeviceDataOf(top),
              vector<bool>(top.size(), true));
}

template <typename Dtype>
void SliceLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || top.size() == 1) return;
  JoinOnDevice(DeviceDiffOf(top), slice_axis_, DeviceDiffOf(bottom[0]));
}

INSTANTIATE_LAYER_GPU_FUNCS(SliceLayer);

}  // namespace caffe
