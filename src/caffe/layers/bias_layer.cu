#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/bias_layer.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/channel_tiles.cuh"

namespace caffe {
namespace {

template <typename T, typename S>
void AddBias(const ChannelTiles& tiles, const T* b, const S* x, S* out) {
  const CoefficientIndex coefficient(tiles);
  Map(static_cast<int>(tiles.count()), out,
      [=] __device__(int i) { return static_cast<T>(x[i]) + b[coefficient(i)]; });
}

// db = Σ d_out, with `add` added to what is there.
template <typename T, typename S>
void SumGradient(const ChannelTiles& tiles, const S* d_out, bool add, T* db) {
  SumByCoefficient<1>(
      tiles,
      [=] __device__(int i, int, double* sums) { sums[0] += static_cast<T>(d_out[i]); },
      [=] __device__(int k, const double* sums) {
        db[k] = (add ? db[k] : T(0)) + static_cast<T>(sums[0]);
      });
}

}  // namespace

template <typename Dtype>
void BiasLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceFormat format = CoefficientFormat(axis_, axes_, from.format());
  const Dtype* b =
      bottom.size() == 1 ? this->blobs_[0]->gpu_data() : bottom[1]->gpu_data();
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* x = ReadElements<S>(from, format);
    AddBias(CoefficientTiles(bottom[0]->shape(), axis_, axes_, format.layout), b, x,
            WriteElementsFrom<S>(from, DeviceDataOf(top[0]), format));
  });
}

template <typename Dtype>
void BiasLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceFormat format = CoefficientFormat(axis_, axes_, from.format());
  const bool learned = bottom.size() == 1;
  Blob<Dtype>* bias = learned ? this->blobs_[0].get() : bottom[1];
  const bool wants_db = learned ? this->param_propagate_down_[0] : propagate_down[1];
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* d_out = ReadElements<S>(from, format);
    if (wants_db) {
      SumGradient(CoefficientTiles(bottom[0]->shape(), axis_, axes_, format.layout),
                  d_out, learned, bias->mutable_gpu_diff());
    }
    if (propagate_down[0] && bottom[0] != top[0]) {
      device::Copy(DeviceDiffOf(bottom[0]).WriteAs(format), d_out,
                   from.count() * sizeof(S));
    }
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(BiasLayer);

}  // namespace caffe
