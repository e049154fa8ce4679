#ifndef CAFFE_RNN_LAYER_HPP_
#define CAFFE_RNN_LAYER_HPP_

#include <string>
#include <vector>

#include "caffe/layers/recurrent_layer.hpp"

namespace caffe {

/// A recurrent layer with one hidden state of num_output values; see RecurrentLayer for
/// bottoms, tops and state.
///
///   h_t = tanh(W_hh (cont_t h_{t-1}) + W_xh x_t + b_h + W_xh_static x_static)
///   o_t = tanh(W_ho h_t + b_o)
///
/// top[0]: o. Blobs: W_xh (H, D), b_h (H), with x_static W_xh_static (H, S), then
/// W_hh (H, H), W_ho (H, H), b_o (H), where H is num_output and D, S the elements of an
/// input.
template <typename Dtype>
class RNNLayer : public RecurrentLayer<Dtype> {
 public:
  explicit RNNLayer(const LayerParameter& param) : RecurrentLayer<Dtype>(param) {}

  virtual inline const char* type() const { return "RNN"; }

 protected:
  virtual void FillUnrolledNet(NetParameter* net_param) const;
  virtual void RecurrentInputBlobNames(vector<string>* names) const;
  virtual void RecurrentOutputBlobNames(vector<string>* names) const;
  virtual void RecurrentInputShapes(vector<BlobShape>* shapes) const;
  virtual void OutputBlobNames(vector<string>* names) const;
};

}  // namespace caffe

#endif  // CAFFE_RNN_LAYER_HPP_
