#ifndef CAFFE_LSTM_LAYER_HPP_
#define CAFFE_LSTM_LAYER_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/layers/recurrent_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Long short-term memory of num_output cells; see RecurrentLayer for bottoms, tops and
/// state, which is h and c, in this order.
///
///   gates_t = W_hc (cont_t h_{t-1}) + W_xc x_t + b_c + W_xc_static x_static
///   (c_t, h_t) = LSTMUnit(c_{t-1}, gates_t, cont_t)
///
/// top[0]: h. Blobs: W_xc (4 H, D), b_c (4 H), with x_static W_xc_static (4 H, S), then
/// W_hc (4 H, H), where H is num_output and D, S the elements of an input. The rows are
/// those of the input, forget and output gate and of the new values, H each.
/// Source: Hochreiter and Schmidhuber, 1997; the variant without peepholes of Zaremba and
/// Sutskever, Learning to Execute, 2014.
template <typename Dtype>
class LSTMLayer : public RecurrentLayer<Dtype> {
 public:
  explicit LSTMLayer(const LayerParameter& param) : RecurrentLayer<Dtype>(param) {}

  virtual inline const char* type() const { return "LSTM"; }

 protected:
  virtual void FillUnrolledNet(NetParameter* net_param) const;
  virtual void RecurrentInputBlobNames(vector<string>* names) const;
  virtual void RecurrentOutputBlobNames(vector<string>* names) const;
  virtual void RecurrentInputShapes(vector<BlobShape>* shapes) const;
  virtual void OutputBlobNames(vector<string>* names) const;
};

/// What an LSTM does in one step, without its weights. With s(x) = 1 / (1 + exp(-x)):
///
///   i = s(x_i), f = cont s(x_f), o = s(x_o), g = tanh(x_g)
///   c = f c_prev + i g,  h = o tanh(c)
///
/// bottoms: c_prev (1, N, H); x (1, N, 4 H), of every stream x_i, x_f, x_o and x_g one
/// behind the other; cont (1, N). tops: c and h, (1, N, H).
/// With e = dc + dh o (1 - tanh(c)^2): dc_prev = e f, dx_i = e g i (1 - i),
/// dx_f = e c_prev f (1 - s(x_f)), dx_o = dh tanh(c) o (1 - o), dx_g = e i (1 - g^2);
/// cont has no gradient.
template <typename Dtype>
class LSTMUnitLayer : public Layer<Dtype> {
 public:
  explicit LSTMUnitLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "LSTMUnit"; }
  virtual inline int ExactNumBottomBlobs() const { return 3; }
  virtual inline int ExactNumTopBlobs() const { return 2; }
  vector<string> BottomNames() const override { return {"c_prev", "x", "cont"}; }
  virtual inline bool AllowForceBackward(const int bottom_index) const {
    return bottom_index != 2;
  }
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

  int hidden_dim_;      ///< H
  Blob<Dtype> X_acts_;  ///< s(x_i), s(x_f), s(x_o), tanh(x_g), where x had them
};

}  // namespace caffe

#endif  // CAFFE_LSTM_LAYER_HPP_
