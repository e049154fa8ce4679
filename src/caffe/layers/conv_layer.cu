#include "caffe/layers/conv_layer.hpp"

#include <vector>

#include "caffe/gpu/convolution.hpp"

namespace caffe {

template <typename Dtype>
void ConvolutionLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->gpu_data() : nullptr;
  for (size_t i = 0; i < bottom.size(); ++i) {
    this->device_op().Forward(DeviceDataOf(bottom[i]),
                              DeviceDataOf(this->blobs_[0].get()), bias,
                              DeviceDataOf(top[i]));
  }
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  for (size_t i = 0; i < top.size(); ++i) {
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      DeviceConvolutionBackwardBias(DeviceDiffOf(top[i]), this->channel_axis_,
                                    this->blobs_[1]->mutable_gpu_diff());
    }
    if (this->param_propagate_down_[0]) {
      this->device_op().BackwardWeights(DeviceDataOf(bottom[i]), DeviceDiffOf(top[i]),
                                        this->blobs_[0]->mutable_gpu_diff());
    }
    if (propagate_down[i]) {
      this->device_op().BackwardData(DeviceDiffOf(top[i]),
                                     DeviceDataOf(this->blobs_[0].get()),
                                     DeviceDiffOf(bottom[i]));
    }
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(ConvolutionLayer);

}  // namespace caffe
