#include "caffe/layers/deconv_layer.hpp"

#include <vector>

#include "caffe/ops/convolution.hpp"

namespace caffe {

template <typename Dtype>
void DeconvolutionLayer<Dtype>::compute_output_shape() {
  this->output_shape_.clear();
  for (int i = 0; i < this->num_spatial_axes_; ++i) {
    // In 64 bits; what int cannot hold counts as a window that does not fit.
    const int64_t extent =
        int64_t{this->dilation_.cpu_data()[i]} * (this->kernel_shape_.cpu_data()[i] - 1) +
        1;
    const int64_t padded =
        int64_t{this->stride_.cpu_data()[i]} * (this->input_shape(i + 1) - 1) + extent;
    const int64_t size = padded - int64_t{2} * this->pad_.cpu_data()[i];
    this->output_shape_.push_back(padded <= INT_MAX && size > 0 ? static_cast<int>(size)
                                                                : 0);
  }
}

template <typename Dtype>
LayerTraits DeconvolutionLayer<Dtype>::Traits() const {
  return {.of = &typeid(DeconvolutionLayer),
          .bottom_use = {DataUse::kRead},
          .top_use = {DataUse::kNone},
          .device_only = true};
}

template <typename Dtype>
void DeconvolutionLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  for (size_t i = 0; i < bottom.size(); ++i) {
    this->op().BackwardData(DataOf(bottom[i]), DataOf(this->blobs_[0].get()),
                            DataOf(top[i]));
    if (!this->bias_term_) continue;
    const Dtype* bias = this->blobs_[1]->cpu_data();
    Dtype* data = top[i]->mutable_cpu_data();
    for (int n = 0; n < this->num_; ++n)
      this->forward_cpu_bias(data + n * this->top_dim_, bias);
  }
}

template <typename Dtype>
void DeconvolutionLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                             const vector<bool>& propagate_down,
                                             const vector<Blob<Dtype>*>& bottom) {
  for (size_t i = 0; i < top.size(); ++i) {
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      Dtype* diff = this->blobs_[1]->mutable_cpu_diff();
      const Dtype* top_diff = top[i]->cpu_diff();
      for (int n = 0; n < this->num_; ++n) {
        this->backward_cpu_bias(diff, top_diff + n * this->top_dim_);
      }
    }
    if (this->param_propagate_down_[0]) {
      // The roles of values and gradients are swapped: the top is what the
      // underlying convolution reads.
      this->op().BackwardWeights(DiffOf(top[i]), DataOf(bottom[i]),
                                 this->blobs_[0]->mutable_cpu_diff());
    }
    if (propagate_down[i]) {
      this->op().Forward(DiffOf(top[i]), DataOf(this->blobs_[0].get()), nullptr,
                         DiffOf(bottom[i]));
    }
  }
}

INSTANTIATE_CLASS(DeconvolutionLayer);
REGISTER_LAYER_CLASS(Deconvolution);

}  // namespace caffe
