#include "caffe/layers/lstm_layer.hpp"

#include "caffe/layers/unrolled_steps.hpp"

namespace caffe {

template <typename Dtype>
void LSTMLayer<Dtype>::RecurrentInputBlobNames(vector<string>* names) const {
  *names = {"h_0", "c_0"};
}

template <typename Dtype>
void LSTMLayer<Dtype>::RecurrentOutputBlobNames(vector<string>* names) const {
  *names = {UnrolledSteps::At("h", this->T_), "c_T"};
}

template <typename Dtype>
void LSTMLayer<Dtype>::RecurrentInputShapes(vector<BlobShape>* shapes) const {
  const int num_output =
      static_cast<int>(this->layer_param_.recurrent_param().num_output());
  shapes->assign(2, StateShape(this->N_, num_output));
}

template <typename Dtype>
void LSTMLayer<Dtype>::OutputBlobNames(vector<string>* names) const {
  *names = {"h"};
}

template <typename Dtype>
void LSTMLayer<Dtype>::FillUnrolledNet(NetParameter* net_param) const {
  const RecurrentParameter& param = this->layer_param_.recurrent_param();
  if (param.num_output() > INT_MAX / 4) {
    throw ValueError(Str("recurrent_param.num_output is ", param.num_output(),
                         ", expected at most ", INT_MAX / 4));
  }
  const int gates = 4 * static_cast<int>(param.num_output()), steps = this->T_;
  UnrolledSteps net(param, net_param);
  vector<BlobShape> shapes;
  RecurrentInputShapes(&shapes);
  net.Add("Input", "c_0", {}, {"c_0"})
      ->mutable_input_param()
      ->add_shape()
      ->CopyFrom(shapes[1]);
  net.Add("Input", "h_0", {}, {"h_0"})
      ->mutable_input_param()
      ->add_shape()
      ->CopyFrom(shapes[0]);
  net.AddInputs("W_xc_x", gates, this->static_input_, steps, "W_xc", "b_c");
  for (int t = 1; t <= steps; ++t) {
    const string product = net.At("W_hc_h", t - 1), sum = net.At("gate_input", t);
    net.AddProduct(net.At("transform", t), net.AddConted("h", t - 1), product, gates, 2,
                   "W_hc");
    vector<string> terms = {product, net.At("W_xc_x", t)};
    if (this->static_input_) terms.push_back("W_xc_x_static");
    net.AddSum(sum, terms, sum);
    net.Add("LSTMUnit", net.At("unit", t), {net.At("c", t - 1), sum, net.At("cont", t)},
            {net.At("c", t), net.At("h", t)});
  }
  net.Add("Split", "c_T_copy", {net.At("c", steps)}, {"c_T"});
  net.AddConcat("h_concat", "h", steps);
}

INSTANTIATE_CLASS(LSTMLayer);
REGISTER_LAYER_CLASS(LSTM);

}  // namespace caffe
