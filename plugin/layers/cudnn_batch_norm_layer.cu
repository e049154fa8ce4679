#include <vector>

#include "caffe/layers/cudnn_batch_norm_layer.hpp"
#include "caffe/layers/their_caffe.hpp"
#include "caffe/ops/batch_norm_arithmetic.cuh"

namespace caffe {

template <typename Dtype>
struct CuDNNBatchNormLayer<Dtype>::GpuState {
  typedef batch_norm::DeviceCall<Dtype> Call;

  Blob<Dtype> workspace;

  Call MakeCall(const Blob<Dtype>& bottom, const Blob<Dtype>& scale,
                const Blob<Dtype>& bias, double eps) {
    const DeviceShape shape = {bottom.shape(0), bottom.shape(1), bottom.count(2), false};
    const size_t elements = Call::WorkspaceBytes(shape) / sizeof(Dtype) + 1;
    workspace.Reshape(vector<int>(1, static_cast<int>(elements)));
    return Call(shape, scale.gpu_data(), bias.gpu_data(), eps,
                workspace.mutable_gpu_data());
  }
};

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                             const vector<Blob<Dtype>*>& top) {
  const int count = bottom[0]->count();
  if (count == 0) return;
  if (!gpu_) gpu_.reset(new GpuState());
  const typename GpuState::Call call =
      gpu_->MakeCall(*bottom[0], *this->blobs_[0], *this->blobs_[1], eps_);
  input_kept_ = KeepsInput(bottom, top);
  if (input_kept_) {
    input_copy_.ReshapeLike(*bottom[0]);
    CUDA_CHECK(cudaMemcpy(input_copy_.mutable_gpu_data(), bottom[0]->gpu_data(),
                          count * sizeof(Dtype), cudaMemcpyDefault));
  }
  const Dtype* x = bottom[0]->gpu_data();
  Dtype* y = top[0]->mutable_gpu_data();
  if (use_running()) {
    call.ForwardRunning(x, this->blobs_[2]->gpu_data(), this->blobs_[3]->gpu_data(),
                        false, y);
  } else {
    call.ForwardBatch(x, momentum_, this->blobs_[2]->mutable_gpu_data(),
                      this->blobs_[3]->mutable_gpu_data(), false, y);
  }
}

template <typename Dtype>
void CuDNNBatchNormLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                              const vector<bool>& propagate_down,
                                              const vector<Blob<Dtype>*>& bottom) {
  if (bottom[0]->count() == 0) return;
  CHECK(gpu_.get() != nullptr) << "Backward needs a Forward in GPU mode before it";
  const typename GpuState::Call call =
      gpu_->MakeCall(*bottom[0], *this->blobs_[0], *this->blobs_[1], eps_);
  Dtype* diffs[2];
  for (int i = 0; i < 2; ++i) {
    diffs[i] =
        this->param_propagate_down_[i] ? this->blobs_[i]->mutable_gpu_diff() : nullptr;
  }
  const Dtype* x = input_kept_ ? input_copy_.gpu_data() : bottom[0]->gpu_data();
  call.Backward(x, bottom[0] == top[0] && !input_kept_, top[0]->gpu_diff(), use_running(),
                false, diffs[0], diffs[1],
                propagate_down[0] ? bottom[0]->mutable_gpu_diff() : nullptr);
}

INSTANTIATE_LAYER_GPU_FUNCS(CuDNNBatchNormLayer);

}  // namespace caffe
