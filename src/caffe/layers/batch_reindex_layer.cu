#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/batch_reindex_layer.hpp"
#include "caffe/layers/row_sums.cuh"

namespace caffe {

template <typename Dtype>
void BatchReindexLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  ReadIndices(this->layer_param_, *bottom[1], 1, bottom[0]->shape(0),
              "the samples of bottom[0]", &indices_);
  if (top[0]->count() == 0) return;
  PickRows(indices_.count(), bottom[0]->count(1), indices_.gpu_data(),
           DeviceDataOf(bottom[0]).Read(), DeviceDataOf(top[0]).Write());
}

template <typename Dtype>
void BatchReindexLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("indices", this->layer_param_, propagate_down);
  if (!propagate_down[0]) return;
  Dtype* dx = DeviceDiffOf(bottom[0]).Write();
  caffe_gpu_set(bottom[0]->count(), Dtype(0), dx);
  if (top[0]->count() == 0) return;
  AddRowsByIndex(RowsByIndex(indices_), bottom[0]->count(1), DeviceDiffOf(top[0]).Read(),
                 dx);
}

INSTANTIATE_LAYER_GPU_FUNCS(BatchReindexLayer);

}  // namespace caffe
