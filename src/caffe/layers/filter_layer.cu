#include <vector>

#include "caffe/gpu/buffer.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/filter_layer.hpp"
#include "caffe/layers/labels.hpp"
#include "caffe/layers/row_sums.cuh"

namespace caffe {
namespace {

// to[index[r], :] = rows[r, :]; no index comes twice.
template <typename T>
void PutRows(int count, int length, const int* index, const T* rows, T* to) {
  const Divisor by_length(length);
  ForEach(count * length, [=] __device__(int i) {
    int at;
    const int row = by_length.Quotient(i, &at);
    to[index[row] * by_length.divisor() + at] = rows[i];
  });
}

void CopyToDevice(const vector<int>& list, const DeviceBuffer<int>& buffer) {
  device::Copy(buffer.get(), list.data(), list.size() * sizeof(int));
}

}  // namespace

template <typename Dtype>
void FilterLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& top) {
  if (indices_to_forward_.empty()) return;
  const int rows = static_cast<int>(indices_to_forward_.size());
  const DeviceBuffer<int> index(rows);
  CopyToDevice(indices_to_forward_, index);
  for (size_t t = 0; t < top.size(); ++t) {
    if (top[t]->count() == 0) continue;
    PickRows(rows, top[t]->count(1), static_cast<const int*>(index.get()),
             DeviceDataOf(bottom[t]).Read(), DeviceDataOf(top[t]).Write());
  }
}

template <typename Dtype>
void FilterLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                      const vector<bool>& propagate_down,
                                      const vector<Blob<Dtype>*>& bottom) {
  CheckNoGradientOf("selectors", this->layer_param_, propagate_down, top.size());
  const int rows = static_cast<int>(indices_to_forward_.size());
  const DeviceBuffer<int> index(rows);
  if (rows > 0) CopyToDevice(indices_to_forward_, index);
  for (size_t t = 0; t < top.size(); ++t) {
    if (!propagate_down[t]) continue;
    Dtype* dx = DeviceDiffOf(bottom[t]).Write();
    caffe_gpu_set(bottom[t]->count(), Dtype(0), dx);
    if (top[t]->count() == 0) continue;
    PutRows(rows, top[t]->count(1), static_cast<const int*>(index.get()),
            DeviceDiffOf(top[t]).Read(), dx);
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(FilterLayer);

}  // namespace caffe
