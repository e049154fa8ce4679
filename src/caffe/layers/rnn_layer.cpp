#include "caffe/layers/rnn_layer.hpp"

#include "caffe/layers/unrolled_steps.hpp"

namespace caffe {

template <typename Dtype>
void RNNLayer<Dtype>::RecurrentInputBlobNames(vector<string>* names) const {
  *names = {"h_0"};
}

template <typename Dtype>
void RNNLayer<Dtype>::RecurrentOutputBlobNames(vector<string>* names) const {
  *names = {UnrolledSteps::At("h", this->T_)};
}

template <typename Dtype>
void RNNLayer<Dtype>::RecurrentInputShapes(vector<BlobShape>* shapes) const {
  const int num_output =
      static_cast<int>(this->layer_param_.recurrent_param().num_output());
  shapes->assign(1, StateShape(this->N_, num_output));
}

template <typename Dtype>
void RNNLayer<Dtype>::OutputBlobNames(vector<string>* names) const {
  *names = {"o"};
}

template <typename Dtype>
void RNNLayer<Dtype>::FillUnrolledNet(NetParameter* net_param) const {
  const RecurrentParameter& param = this->layer_param_.recurrent_param();
  const int num_output = static_cast<int>(param.num_output()), steps = this->T_;
  UnrolledSteps net(param, net_param);
  vector<BlobShape> shapes;
  RecurrentInputShapes(&shapes);
  net.Add("Input", "h_0", {}, {"h_0"})
      ->mutable_input_param()
      ->add_shape()
      ->CopyFrom(shapes[0]);
  net.AddInputs("W_xh_x", num_output, this->static_input_, steps, "W_xh", "b_h");
  for (int t = 1; t <= steps; ++t) {
    const string product = net.At("W_hh_h", t - 1), sum = net.At("h_neuron_input", t),
                 h = net.At("h", t), outputs = net.At("W_ho_h", t);
    net.AddProduct(product, net.AddConted("h", t - 1), product, num_output, 2, "W_hh");
    vector<string> terms = {product, net.At("W_xh_x", t)};
    if (this->static_input_) terms.push_back("W_xh_x_static");
    net.AddSum(net.At("h_input_sum", t), terms, sum);
    net.Add("TanH", net.At("h_neuron", t), {sum}, {h});
    net.AddProduct(outputs, h, outputs, num_output, 2, "W_ho", "b_o");
    net.Add("TanH", net.At("o_neuron", t), {outputs}, {net.At("o", t)});
  }
  net.AddConcat("o_concat", "o", steps);
}

INSTANTIATE_CLASS(RNNLayer);
REGISTER_LAYER_CLASS(RNN);

}  // namespace caffe
