#include "caffe/layers/conv_layer.hpp"

#include <vector>

#include "caffe/ops/convolution.hpp"

namespace caffe {

template <typename Dtype>
void ConvolutionLayer<Dtype>::compute_output_shape() {
  this->output_shape_.clear();
  for (int i = 0; i < this->num_spatial_axes_; ++i) {
    // In 64 bits; what int cannot hold counts as a window that does not fit.
    const int64_t extent =
        int64_t{this->dilation_.cpu_data()[i]} * (this->kernel_shape_.cpu_data()[i] - 1) +
        1;
    const int64_t padded =
        this->input_shape(i + 1) + int64_t{2} * this->pad_.cpu_data()[i];
    const bool fits = extent <= padded && padded <= INT_MAX;
    this->output_shape_.push_back(
        fits ? static_cast<int>((padded - extent) / this->stride_.cpu_data()[i]) + 1 : 0);
  }
}

template <typename Dtype>
LayerTraits ConvolutionLayer<Dtype>::Traits() const {
  return {.of = &typeid(ConvolutionLayer),
          .bottom_use = {DataUse::kRead},
          .top_use = {DataUse::kNone},
          .device_only = true};
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->cpu_data() : nullptr;
  for (size_t i = 0; i < bottom.size(); ++i) {
    this->op().Forward(DataOf(bottom[i]), DataOf(this->blobs_[0].get()), bias,
                       DataOf(top[i]));
  }
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                           const vector<bool>& propagate_down,
                                           const vector<Blob<Dtype>*>& bottom) {
  for (size_t i = 0; i < top.size(); ++i) {
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      ConvolutionBackwardBias(this->problem(), DiffOf(top[i]),
                              this->blobs_[1]->mutable_cpu_diff());
    }
    if (this->param_propagate_down_[0]) {
      this->op().BackwardWeights(DataOf(bottom[i]), DiffOf(top[i]),
                                 this->blobs_[0]->mutable_cpu_diff());
    }
    if (propagate_down[i]) {
      this->op().BackwardData(DiffOf(top[i]), DataOf(this->blobs_[0].get()),
                              DiffOf(bottom[i]));
    }
  }
}

INSTANTIATE_CLASS(ConvolutionLayer);
REGISTER_LAYER_CLASS(Convolution);

}  // namespace caffe
