#ifndef CAFFE_PRELU_LAYER_HPP_
#define CAFFE_PRELU_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/neuron_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// y = max(x, 0) + a_c * min(x, 0), with a learned slope a_c for every channel.
///
/// The bottom has at least 2 axes, channels on axis 1. The slopes are one blob of
/// shape (C), or a scalar with channel_shared; filled with 0.25 by default.
/// dx = dy where x > 0, a_c * dy elsewhere;  da_c = dy * x summed where x <= 0.
/// In place works: the input is kept for Backward.
/// Source: He et al., ICCV 2015.
template <typename Dtype>
class PReLULayer : public NeuronLayer<Dtype> {
 public:
  explicit PReLULayer(const LayerParameter& param) : NeuronLayer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "PReLU"; }
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

  bool channel_shared_;
  /// The input of an in-place Forward.
  Blob<Dtype> bottom_memory_;
};

}  // namespace caffe

#endif  // CAFFE_PRELU_LAYER_HPP_
