#include "caffe/layers/deconv_layer.hpp"

#include <vector>

#include "caffe/gpu/convolution.hpp"

namespace caffe {

template <typename Dtype>
void DeconvolutionLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  for (size_t i = 0; i < bottom.size(); ++i) {
    this->device_op().BackwardData(DeviceDataOf(bottom[i]),
                                   DeviceDataOf(this->blobs_[0].get()),
                                   DeviceDataOf(top[i]));
    if (!this->bias_term_) continue;
    DeviceConvolutionAddBias(DeviceDataOf(top[i]), this->channel_axis_,
                             this->blobs_[1]->gpu_data());
  }
}

template <typename Dtype>
void DeconvolutionLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                             const vector<bool>& propagate_down,
                                             const vector<Blob<Dtype>*>& bottom) {
  for (size_t i = 0; i < top.size(); ++i) {
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      DeviceConvolutionBackwardBias(DeviceDiffOf(top[i]), this->channel_axis_,
                                    this->blobs_[1]->mutable_gpu_diff());
    }
    if (this->param_propagate_down_[0]) {
      // The roles of values and gradients are swapped: the top is what the
      // underlying convolution reads.
      this->device_op().BackwardWeights(DeviceDiffOf(top[i]), DeviceDataOf(bottom[i]),
                                        this->blobs_[0]->mutable_gpu_diff());
    }
    if (propagate_down[i]) {
      this->device_op().Forward(DeviceDiffOf(top[i]), DeviceDataOf(this->blobs_[0].get()),
                                nullptr, DeviceDiffOf(bottom[i]));
    }
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(DeconvolutionLayer);

}  // namespace caffe
