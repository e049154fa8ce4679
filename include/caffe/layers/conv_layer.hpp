#ifndef CAFFE_CONV_LAYER_HPP_
#define CAFFE_CONV_LAYER_HPP_

#include <vector>

#include "caffe/layers/base_conv_layer.hpp"

namespace caffe {

/// Convolution, in fact correlation, over any number of spatial axes:
/// y[n,k,o] = b[k] + Σ_{c,t} w[k,c,t] x[n, c, o·stride − pad + t·dilation], with c over
/// the channels of k's group and taps outside the image 0.
///
/// Bottom (N, C, spatial...), top (N, num_output, spatial...) with
/// out = floor((in + 2 pad − dilation (kernel − 1) − 1) / stride) + 1.
/// Parameters: convolution_param {num_output, kernel_size, stride 1, pad 0, dilation 1,
/// group 1, bias_term true, weight_filler, bias_filler, axis 1, engine}.
template <typename Dtype>
class ConvolutionLayer : public BaseConvolutionLayer<Dtype> {
 public:
  explicit ConvolutionLayer(const LayerParameter& param)
      : BaseConvolutionLayer<Dtype>(param) {}
  inline const char* type() const override { return "Convolution"; }
  LayerTraits Traits() const override;

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  inline bool reverse_dimensions() override { return false; }
  void compute_output_shape() override;
};

}  // namespace caffe

#endif  // CAFFE_CONV_LAYER_HPP_
