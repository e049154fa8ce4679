#include "caffe/layers/inner_product_layer.hpp"

#include <vector>

#include "caffe/gpu/channels.hpp"
#include "caffe/gpu/matmul.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

template <typename Dtype>
void InnerProductLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  MatmulWithBias<Dtype>(
      {M_, N_, K_, transpose_}, bottom[0]->gpu_data(), this->blobs_[0]->gpu_data(),
      bias_term_ ? this->blobs_[1]->gpu_data() : nullptr, DeviceDataOf(top[0]).Write());
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  if (M_ == 0) return;
  const Dtype* dy = top[0]->gpu_diff();
  if (this->param_propagate_down_[0]) {
    const Dtype* x = bottom[0]->gpu_data();
    Dtype* dw = this->blobs_[0]->mutable_gpu_diff();
    if (transpose_) {
      caffe_gpu_gemm<Dtype>(CblasTrans, CblasNoTrans, K_, N_, M_, Dtype(1), x, dy,
                            Dtype(1), dw);
    } else {
      caffe_gpu_gemm<Dtype>(CblasTrans, CblasNoTrans, N_, K_, M_, Dtype(1), dy, x,
                            Dtype(1), dw);
    }
  }
  if (bias_term_ && this->param_propagate_down_[1]) {
    AddChannelSums(DeviceLayout::kChannelsLast, {M_, N_, 1}, dy,
                   this->blobs_[1]->mutable_gpu_diff());
  }
  if (propagate_down[0]) {
    caffe_gpu_gemm<Dtype>(CblasNoTrans, transpose_ ? CblasTrans : CblasNoTrans, M_, K_,
                          N_, Dtype(1), dy, this->blobs_[0]->gpu_data(), Dtype(0),
                          DeviceDiffOf(bottom[0]).Write());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(InnerProductLayer);

}  // namespace caffe
