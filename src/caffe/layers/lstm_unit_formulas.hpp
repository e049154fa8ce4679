#ifndef CAFFE_LAYERS_LSTM_UNIT_FORMULAS_HPP_
#define CAFFE_LAYERS_LSTM_UNIT_FORMULAS_HPP_

#include <cmath>

#include "caffe/common.hpp"

namespace caffe {

/// One cell of an LSTMUnit, for CPU and GPU alike. The four values of a cell are `step`
/// apart in x and what comes of it.
template <typename Dtype>
struct LSTMCell {
  CAFFE_HOST_DEVICE static Dtype Sigmoid(Dtype x) { return 1 / (1 + std::exp(-x)); }

  CAFFE_HOST_DEVICE static void Forward(Dtype cont, Dtype c_prev, const Dtype* x,
                                        int step, Dtype* acts, Dtype* c, Dtype* h) {
    const Dtype i = Sigmoid(x[0]), f = Sigmoid(x[step]), o = Sigmoid(x[2 * step]),
                g = std::tanh(x[3 * step]);
    acts[0] = i;
    acts[step] = f;
    acts[2 * step] = o;
    acts[3 * step] = g;
    // A new sequence forgets whatever was there, NaN too.
    const Dtype kept = cont == 0 ? Dtype(0) : cont * f * c_prev;
    const Dtype cell = kept + i * g;
    *c = cell;
    *h = o * std::tanh(cell);
  }

  /// Writes dx and returns dc_prev.
  CAFFE_HOST_DEVICE static Dtype Backward(Dtype cont, Dtype c_prev, const Dtype* acts,
                                          int step, Dtype c, Dtype dc, Dtype dh,
                                          Dtype* dx) {
    const Dtype i = acts[0], f = acts[step], o = acts[2 * step], g = acts[3 * step];
    const Dtype tanh_c = std::tanh(c);
    const Dtype e = dc + dh * o * (1 - tanh_c * tanh_c);
    dx[0] = e * g * i * (1 - i);
    dx[step] = cont == 0 ? Dtype(0) : e * c_prev * cont * f * (1 - f);
    dx[2 * step] = dh * tanh_c * o * (1 - o);
    dx[3 * step] = e * i * (1 - g * g);
    return cont == 0 ? Dtype(0) : e * cont * f;
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_LSTM_UNIT_FORMULAS_HPP_
