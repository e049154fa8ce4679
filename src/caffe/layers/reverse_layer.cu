#include <vector>

#include "caffe/layers/reverse_layer.hpp"
#include "caffe/layers/strided_view.cuh"

namespace caffe {

template <typename Dtype>
void ReverseLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  DeviceGather(View(bottom[0]->shape()), bottom[0]->gpu_data(),
               top[0]->mutable_gpu_data());
}

template <typename Dtype>
void ReverseLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  DeviceScatter(View(bottom[0]->shape()), top[0]->gpu_diff(),
                bottom[0]->mutable_gpu_diff());
}

INSTANTIATE_LAYER_GPU_FUNCS(ReverseLayer);

}  // namespace caffe
