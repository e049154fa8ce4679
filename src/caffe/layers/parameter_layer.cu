#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/parameter_layer.hpp"

namespace caffe {

template <typename Dtype>
void ParameterLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& /*bottom*/,
                                        const vector<Blob<Dtype>*>& top) {
  caffe_copy(top[0]->count(), this->blobs_[0]->gpu_data(), DeviceDataOf(top[0]).Write());
}

template <typename Dtype>
void ParameterLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& /*propagate_down*/,
                                         const vector<Blob<Dtype>*>& /*bottom*/) {
  if (!this->param_propagate_down_[0]) return;
  caffe_gpu_axpy(top[0]->count(), Dtype(1), DeviceDiffOf(top[0]).Read(),
                 this->blobs_[0]->mutable_gpu_diff());
}

INSTANTIATE_LAYER_GPU_FUNCS(ParameterLayer);

}  // namespace caffe
