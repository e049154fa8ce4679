#include <memory>
#include <vector>

#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#include "caffe/ops/batch_norm_arithmetic.cuh"

namespace caffe {

template <typename Dtype>
struct CuDNNBatchNormLayer<Dtype>::GpuState {
  batch_norm::Device<Dtype> device;
  Blob<Dtype> workspace;

  /// What a call is given; the workspace fits the number of channels.
  batch_norm::DeviceCall<Dtype> Call(const Blob<Dtype>& bottom, DeviceLayout layout,
                                     const Dtype* scale, const Dtype* bias, double eps) {
    batch_norm::DeviceHandle handle = nullptr;
#ifdef USE_CUDNN
    handle = Caffe::cudnn_handle();
#endif
    const int channels = bottom.shape(1);
    workspace.Reshape({batch_norm::DeviceCall<Dtype>::kWorkspace, channels});
    return {handle,
            {bottom.shape(0), channels, bottom.count(2),
             layout == DeviceLayout::kChannelsLast},
            scale,
            bias,
            eps,
            workspace.mutable_gpu_data()};
  }
};

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  if (!gpu_) gpu_ = std::make_shared<GpuState>();
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]), to = DeviceDataOf(top[0]);
  const DeviceLayout layout = from.layout();
  const auto call = gpu_->Call(*bottom[0], layout, this->blobs_[0]->gpu_data(),
                               this->blobs_[1]->gpu_data(), eps_);
  const Dtype* x = from.Read(layout);
  input_kept_ = KeepsInput(bottom, top);
  if (input_kept_) {
    input_copy_.ReshapeLike(*bottom[0]);
    caffe_copy(from.count(), x, DeviceDataOf(&input_copy_).Write(layout));
  }
  Dtype* y = to.WriteFrom(from, layout);
  if (use_running()) {
    gpu_->device.ForwardRunning(call, x, this->blobs_[2]->gpu_data(),
                                this->blobs_[3]->gpu_data(), relu_, y);
  } else {
    gpu_->device.ForwardBatch(call, x, momentum_, this->blobs_[2]->mutable_gpu_data(),
                              this->blobs_[3]->mutable_gpu_data(), relu_, y);
  }
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Recompute_gpu(const vector<Blob<Dtype>*>& bottom,
                                               const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceLayout layout = from.layout();
  const auto call = gpu_->Call(*bottom[0], layout, this->blobs_[0]->gpu_data(),
                               this->blobs_[1]->gpu_data(), eps_);
  const Dtype* x = from.Read(layout);
  gpu_->device.Recompute(call, x, relu_, DeviceDataOf(top[0]).WriteFrom(from, layout));
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  if (bottom[0]->count() == 0) return;
  CHECK(gpu_) << "Backward needs a Forward in GPU mode before it";
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceLayout layout = from.layout();
  const auto call = gpu_->Call(*bottom[0], layout, this->blobs_[0]->gpu_data(),
                               this->blobs_[1]->gpu_data(), eps_);
  const bool x_is_output = bottom[0] == top[0] && !input_kept_;
  const Dtype* x = DeviceDataOf(input_kept_ ? &input_copy_ : bottom[0]).Read(layout);
  // In the top's own diff, as a ReLU in place behind this layer would.
  if (relu_) gpu_->device.Mask(call, x, from.Modify(layout));
  Dtype* diffs[2];
  for (int i = 0; i < 2; ++i) {
    diffs[i] =
        this->param_propagate_down_[i] ? this->blobs_[i]->mutable_gpu_diff() : nullptr;
  }
  const Dtype* dy = from.Read(layout);
  gpu_->device.Backward(
      call, x, x_is_output, dy, use_running(), diffs[0], diffs[1],
      propagate_down[0] ? DeviceDiffOf(bottom[0]).WriteFrom(from, layout) : nullptr);
}

INSTANTIATE_LAYER_GPU_FUNCS(CuDNNBatchNormLayer);
template void CuDNNBatchNormLayer<float>::Recompute_gpu(const vector<Blob<float>*>&,
                                                        const vector<Blob<float>*>&);
template void CuDNNBatchNormLayer<double>::Recompute_gpu(const vector<Blob<double>*>&,
                                                         const vector<Blob<double>*>&);

}  // namespace caffe
