#include <memory>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#include "caffe/ops/batch_norm_arithmetic.cuh"

namespace caffe {

template <typename Dtype>
struct CuDNNBatchNormLayer<Dtype>::GpuState {
  using Call = batch_norm::DeviceCall<Dtype>;

  Blob<Dtype> workspace;

  Call MakeCall(const Blob<Dtype>& bottom, DeviceLayout layout, const Dtype* scale,
                const Dtype* bias, double eps) {
    const DeviceShape shape = {bottom.shape(0), bottom.shape(1), bottom.count(2),
                               layout == DeviceLayout::kChannelsLast};
    const size_t elements = Call::WorkspaceBytes(shape) / sizeof(Dtype) + 1;
    workspace.Reshape({static_cast<int>(elements)});
    return Call(shape, scale, bias, eps, workspace.mutable_gpu_data());
  }
};

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  if (!gpu_) gpu_ = std::make_shared<GpuState>();
  if (bottom[0]->count() == 0) return;
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]), to = DeviceDataOf(top[0]);
  const DeviceFormat format = from.format();
  const auto call = gpu_->MakeCall(*bottom[0], format.layout, this->blobs_[0]->gpu_data(),
                                   this->blobs_[1]->gpu_data(), eps_);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* x = static_cast<const S*>(from.ReadAs(format));
    input_kept_ = KeepsInput(bottom, top);
    if (input_kept_) {
      input_copy_.ReshapeLike(*bottom[0]);
      device::Copy(DeviceDataOf(&input_copy_).WriteAs(format), x,
                   from.count() * sizeof(S));
    }
    S* y = static_cast<S*>(to.WriteFromAs(from, format));
    if (use_running()) {
      call.ForwardRunning(x, running(0)->gpu_data(), running(1)->gpu_data(), relu_, y);
    } else {
      call.ForwardBatch(x, momentum_, running(0)->mutable_gpu_data(),
                        running(1)->mutable_gpu_data(), relu_, y);
    }
  });
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Recompute_gpu(const vector<Blob<Dtype>*>& bottom,
                                               const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]), to = DeviceDataOf(top[0]);
  const DeviceFormat format = from.format();
  const auto call = gpu_->MakeCall(*bottom[0], format.layout, this->blobs_[0]->gpu_data(),
                                   this->blobs_[1]->gpu_data(), eps_);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    call.Recompute(static_cast<const S*>(from.ReadAs(format)), relu_,
                   static_cast<S*>(to.WriteFromAs(from, format)));
  });
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  if (bottom[0]->count() == 0) return;
  if (!gpu_) gpu_ = std::make_shared<GpuState>();  // as after a forward times 0
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]), to = DeviceDiffOf(bottom[0]);
  const DeviceFormat format = from.format();
  const auto call = gpu_->MakeCall(*bottom[0], format.layout, this->blobs_[0]->gpu_data(),
                                   this->blobs_[1]->gpu_data(), eps_);
  Dtype* diffs[2];
  for (int i = 0; i < 2; ++i) {
    diffs[i] =
        this->param_propagate_down_[i] ? this->blobs_[i]->mutable_gpu_diff() : nullptr;
  }
  const DeviceTensor<Dtype> input = DeviceDataOf(input_kept_ ? &input_copy_ : bottom[0]);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* x = static_cast<const S*>(input.ReadAs(format));
    const S* dy = static_cast<const S*>(from.ReadAs(format));
    S* dx = propagate_down[0] ? static_cast<S*>(to.WriteFromAs(from, format)) : nullptr;
    call.Backward(x, bottom[0] == top[0] && !input_kept_, dy, use_running(), relu_,
                  diffs[0], diffs[1], dx);
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(CuDNNBatchNormLayer);
template void CuDNNBatchNormLayer<float>::Recompute_gpu(const vector<Blob<float>*>&,
                                                        const vector<Blob<float>*>&);
template void CuDNNBatchNormLayer<double>::Recompute_gpu(const vector<Blob<double>*>&,
                                                         const vector<Blob<double>*>&);

}  // namespace caffe
