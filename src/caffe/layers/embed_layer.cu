#include <vector>

#include "caffe/gpu/channels.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/embed_layer.hpp"
#include "caffe/layers/row_sums.cuh"

namespace caffe {
template <typename Dtype>
void EmbedLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  ReadIndices(this->layer_param_, *bottom[0], 0, K_, "the rows of the table", &indices_);
  Dtype* y = DeviceDataOf(top[0]).Write();
  PickRows(M_, N_, indices_.gpu_data(), this->blobs_[0]->gpu_data(), y);
  if (!bias_term_) return;
  FinishChannels<Dtype>(DeviceLayout::kPlain, {M_, N_, 1}, this->blobs_[1]->gpu_data(),
                        nullptr, false, y);
}

template <typename Dtype>
void EmbedLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& /*bottom*/) {
  CheckNoGradientOf("indices", this->layer_param_, propagate_down, 0);
  const Dtype* dy = DeviceDiffOf(top[0]).Read();
  if (this->param_propagate_down_[0]) {
    AddRowsByIndex(RowsByIndex(indices_), N_, dy, this->blobs_[0]->mutable_gpu_diff());
  }
  if (bias_term_ && this->param_propagate_down_[1]) {
    AddChannelSums(DeviceLayout::kPlain, {M_, N_, 1}, dy,
                   this->blobs_[1]->mutable_gpu_diff());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(EmbedLayer);

}  // namespace caffe
