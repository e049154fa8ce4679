#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/channel_tiles.cuh"
#include "caffe/layers/scale_layer.hpp"

namespace caffe {
namespace {

// out = a x + b; without a bias, b is null.
template <typename T, typename S>
void ScaleAndShift(const ChannelTiles& tiles, const T* a, const T* b, const S* x,
                   S* out) {
  const CoefficientIndex coefficient(tiles);
  const int count = static_cast<int>(tiles.count());
  if (b) {
    Map(count, out, [=] __device__(int i) {
      const int k = coefficient(i);
      return a[k] * static_cast<T>(x[i]) + b[k];
    });
  } else {
    Map(count, out,
        [=] __device__(int i) { return a[coefficient(i)] * static_cast<T>(x[i]); });
  }
}

// da = Σ d_out x and db = Σ d_out, added to what is there, da only with `add_da`. A null
// pointer skips one; x is read for da alone.
template <typename T, typename S>
void SumGradients(const ChannelTiles& tiles, const S* d_out, const S* x, bool add_da,
                  T* da, T* db) {
  SumByCoefficient<2>(
      tiles,
      [=] __device__(int i, int, double* sums) {
        const double diff = static_cast<T>(d_out[i]);
        if (da) sums[0] += diff * static_cast<T>(x[i]);
        sums[1] += diff;
      },
      [=] __device__(int k, const double* sums) {
        if (da) da[k] = (add_da ? da[k] : T(0)) + static_cast<T>(sums[0]);
        if (db) db[k] += static_cast<T>(sums[1]);
      });
}

}  // namespace

template <typename Dtype>
void ScaleLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceFormat format = CoefficientFormat(axis_, axes_, from.format());
  const bool learned = bottom.size() == 1;
  const Dtype* a = learned ? this->blobs_[0]->gpu_data() : bottom[1]->gpu_data();
  const Dtype* b =
      bias_param_id_ < 0 ? nullptr : this->blobs_[bias_param_id_]->gpu_data();
  const ChannelTiles tiles =
      CoefficientTiles(bottom[0]->shape(), axis_, axes_, format.layout);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* x = ReadElements<S>(from, format);
    S* out = WriteElementsFrom<S>(from, DeviceDataOf(top[0]), format);
    if (bottom[0] == top[0] && (!learned || this->param_propagate_down_[0])) {
      temp_.ReshapeLike(*bottom[0]);
      device::Copy(DeviceDataOf(&temp_).WriteAs(format), x, from.count() * sizeof(S));
    }
    ScaleAndShift(tiles, a, b, x, out);
  });
}

template <typename Dtype>
void ScaleLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceFormat format = CoefficientFormat(axis_, axes_, from.format());
  const bool learned = bottom.size() == 1;
  const bool in_place = bottom[0] == top[0];
  Blob<Dtype>* scale = learned ? this->blobs_[0].get() : bottom[1];
  const bool wants_da = learned ? this->param_propagate_down_[0] : propagate_down[1];
  const bool wants_db =
      bias_param_id_ >= 0 && this->param_propagate_down_[bias_param_id_];
  const ChannelTiles tiles =
      CoefficientTiles(bottom[0]->shape(), axis_, axes_, format.layout);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* d_out = ReadElements<S>(from, format);
    if (wants_da || wants_db) {
      const DeviceTensor<Dtype> input = DeviceDataOf(in_place ? &temp_ : bottom[0]);
      const S* x = wants_da ? ReadElements<S>(input, format) : nullptr;
      Dtype* da = wants_da ? scale->mutable_gpu_diff() : nullptr;
      Dtype* db = wants_db ? this->blobs_[bias_param_id_]->mutable_gpu_diff() : nullptr;
      // Gradients of parameters add up, those of bottoms start anew.
      SumGradients(tiles, d_out, x, learned, da, db);
    }
    if (propagate_down[0]) {
      S* dx = WriteElementsFrom<S>(from, DeviceDiffOf(bottom[0]), format);
      ScaleAndShift<Dtype>(tiles, scale->gpu_data(), nullptr, d_out, dx);
    }
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(ScaleLayer);

}  // namespace caffe
