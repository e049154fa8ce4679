#include <vector>

#include "caffe/gpu/buffer.hpp"
#include "caffe/layers/l2_normalize_layer.hpp"
#include "caffe/layers/normalize_arithmetic.cuh"

namespace caffe {

template <typename Dtype>
void L2NormalizeLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  DeviceNormalizeForward({bottom[0]->shape(0), 1, bottom[0]->count(1), true}, 0.0,
                         one_.gpu_data(), 0, bottom[0]->gpu_data(),
                         top[0]->mutable_gpu_data(), inverse_norm_.mutable_gpu_data());
}

template <typename Dtype>
void L2NormalizeLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const DeviceBuffer<double> sums(bottom[0]->shape(0));
  DeviceNormalizeBackward({bottom[0]->shape(0), 1, bottom[0]->count(1), true},
                          inverse_norm_.gpu_data(), one_.gpu_data(), 0,
                          bottom[0]->gpu_data(), top[0]->gpu_diff(),
                          bottom[0]->mutable_gpu_diff(), sums.get());
}

INSTANTIATE_LAYER_GPU_FUNCS(L2NormalizeLayer);

}  // namespace caffe
