#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/labels.hpp"
#include "caffe/layers/lstm_layer.hpp"
#include "caffe/layers/lstm_unit_formulas.hpp"

namespace caffe {
namespace {

template <typename T>
void RunCells(int count, const Divisor cells, const T* c_prev, const T* x, const T* cont,
              T* acts, T* c, T* h) {
  ForEach(count, [=] __device__(int i) {
    int d;
    const int n = cells.Quotient(i, &d);
    const int at = 4 * n * cells.divisor() + d;
    LSTMCell<T>::Forward(cont[n], c_prev[i], x + at, cells.divisor(), acts + at, c + i,
                         h + i);
  });
}

// dc_prev may be null.
template <typename T>
void RunCellsBack(int count, const Divisor cells, const T* c_prev, const T* cont,
                  const T* acts, const T* c, const T* dc, const T* dh, T* dx,
                  T* dc_prev) {
  ForEach(count, [=] __device__(int i) {
    int d;
    const int n = cells.Quotient(i, &d);
    const int at = 4 * n * cells.divisor() + d;
    const T to_c = LSTMCell<T>::Backward(cont[n], c_prev[i], acts + at, cells.divisor(),
                                         c[i], dc[i], dh[i], dx + at);
    if (dc_prev) dc_prev[i] = to_c;
  });
}

}  // namespace

template <typename Dtype>
void LSTMUnitLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  RunCells(top[0]->count(), Divisor(hidden_dim_), DeviceDataOf(bottom[0]).Read(),
           DeviceDataOf(bottom[1]).Read(), DeviceDataOf(bottom[2]).Read(),
           X_acts_.mutable_gpu_data(), DeviceDataOf(top[0]).Write(),
           DeviceDataOf(top[1]).Write());
}

template <typename Dtype>
void LSTMUnitLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                        const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("marks", this->layer_param_, propagate_down, 2);
  if (!propagate_down[0] && !propagate_down[1]) return;
  RunCellsBack(
      top[0]->count(), Divisor(hidden_dim_), DeviceDataOf(bottom[0]).Read(),
      DeviceDataOf(bottom[2]).Read(), X_acts_.gpu_data(), DeviceDataOf(top[0]).Read(),
      DeviceDiffOf(top[0]).Read(), DeviceDiffOf(top[1]).Read(),
      propagate_down[1] ? DeviceDiffOf(bottom[1]).Write() : X_acts_.mutable_gpu_diff(),
      propagate_down[0] ? DeviceDiffOf(bottom[0]).Write() : nullptr);
}

INSTANTIATE_LAYER_GPU_FUNCS(LSTMUnitLayer);

}  // namespace caffe
