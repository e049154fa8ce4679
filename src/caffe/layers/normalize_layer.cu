#include <vector>

#include "caffe/gpu/buffer.hpp"
#include "caffe/layers/normalize_arithmetic.cuh"
#include "caffe/layers/normalize_layer.hpp"

namespace caffe {

template <typename Dtype>
void NormalizeLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  DeviceNormalizeForward(Groups(*bottom[0]), this->layer_param_.norm_param().eps(),
                         this->blobs_[0]->gpu_data(), scale_step(), bottom[0]->gpu_data(),
                         top[0]->mutable_gpu_data(), inverse_norm_.mutable_gpu_data());
}

template <typename Dtype>
void NormalizeLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  const NormGroups groups = Groups(*bottom[0]);
  const Dtype *x = bottom[0]->gpu_data(), *dy = top[0]->gpu_diff();
  if (this->param_propagate_down_[0]) {
    DeviceNormalizeScaleGradient(groups, inverse_norm_.gpu_data(), scale_step(), x, dy,
                                 this->blobs_[0]->mutable_gpu_diff());
  }
  if (propagate_down[0]) {
    const DeviceBuffer<double> sums(groups.groups());
    DeviceNormalizeBackward(groups, inverse_norm_.gpu_data(), this->blobs_[0]->gpu_data(),
                            scale_step(), x, dy, bottom[0]->mutable_gpu_diff(),
                            sums.get());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(NormalizeLayer);

}  // namespace caffe
