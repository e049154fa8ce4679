#ifndef CAFFE_RELU_LAYER_HPP_
#define CAFFE_RELU_LAYER_HPP_

#include <vector>

#include "caffe/layers/neuron_layer.hpp"

namespace caffe {

/// y = max(x, 0) + negative_slope * min(x, 0); negative_slope is 0 by default.
///
/// dx = dy where x > 0, negative_slope * dy elsewhere (also at 0). NaN stays NaN.
/// In place, Backward goes by the sign of the output, as Caffe does; with a negative
/// slope that says nothing about the input's sign, so the input is kept.
/// Source: Nair and Hinton, ICML 2010; Maas et al., ICML 2013 (leaky).
template <typename Dtype>
class ReLULayer : public NeuronLayer<Dtype> {
 public:
  explicit ReLULayer(const LayerParameter& param) : NeuronLayer<Dtype>(param) {}
  virtual inline const char* type() const { return "ReLU"; }
  LayerTraits Traits() const override;

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  Blob<Dtype> kept_input_;  ///< of an in-place Forward, if Backward needs it
};

}  // namespace caffe

#endif  // CAFFE_RELU_LAYER_HPP_
