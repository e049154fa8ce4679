#include "caffe/layers/inner_product_layer.hpp"

#include <vector>

#include "caffe/gpu/channels.hpp"
#include "caffe/gpu/matmul.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace {

// The values of a blob as the rows of a matrix in the precision's type. A format of 16
// bits has its axis 1 last: only where that is no other order the blob's own copy does.
template <typename Dtype>
const void* Rows(const Blob<Dtype>& blob, bool diff, int rows,
                 NetParameter::Precision precision) {
  const DeviceType type = ActivationType<Dtype>(precision);
  if (type == DeviceType::kOwn) return diff ? blob.gpu_diff() : blob.gpu_data();
  const DeviceFormat format = {DeviceLayout::kChannelsLast, type};
  const bool one_order = blob.num_axes() < 3 || blob.shape(1) == 1 || blob.count(2) == 1;
  if (one_order) {
    return (diff ? DeviceDiffOf(&blob) : DeviceDataOf(&blob)).ReadAs(format);
  }
  Blob<Dtype> view(vector<int>{rows, rows > 0 ? blob.count() / rows : 0});
  if (diff) {
    view.ShareDiff(blob);
  } else {
    view.ShareData(blob);
  }
  // Stays with the blob's memory.
  return (diff ? DeviceDiffOf(&view) : DeviceDataOf(&view)).ReadAs(format);
}

}  // namespace

template <typename Dtype>
void InnerProductLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  MatmulWithBias<Dtype>(
      {M_, N_, K_, transpose_}, precision_, Rows(*bottom[0], false, M_, precision_),
      Rows(*this->blobs_[0], false, N_, precision_),
      bias_term_ ? this->blobs_[1]->gpu_data() : nullptr, DeviceDataOf(top[0]).Write());
}

template <typename Dtype>
void InnerProductLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                            const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  if (M_ == 0) return;
  if (bias_term_ && this->param_propagate_down_[1]) {
    AddChannelSums(DeviceLayout::kChannelsLast, {M_, N_, 1}, top[0]->gpu_diff(),
                   this->blobs_[1]->mutable_gpu_diff());
  }
  const void* dy = Rows(*top[0], true, M_, precision_);
  if (this->param_propagate_down_[0]) {
    const void* x = Rows(*bottom[0], false, M_, precision_);
    Dtype* dw = this->blobs_[0]->mutable_gpu_diff();
    if (transpose_) {
      DeviceGemm(precision_, CblasTrans, CblasNoTrans, K_, N_, M_, x, dy, Dtype(1), dw);
    } else {
      DeviceGemm(precision_, CblasTrans, CblasNoTrans, N_, K_, M_, dy, x, Dtype(1), dw);
    }
  }
  if (propagate_down[0]) {
    DeviceGemm(precision_, CblasNoTrans, transpose_ ? CblasTrans : CblasNoTrans, M_, K_,
               N_, dy, Rows(*this->blobs_[0], false, N_, precision_), Dtype(0),
               DeviceDiffOf(bottom[0]).Write());
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(InnerProductLayer);

}  // namespace caffe
