#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/channel_tiles.cuh"
#include "caffe/layers/prelu_layer.hpp"

namespace caffe {
namespace {

// out = values times 1 where x > 0, else times the slope.
template <typename T, typename S>
void MultiplyBySlope(const ChannelTiles& tiles, const T* slopes, const S* x,
                     const S* values, S* out) {
  const CoefficientIndex coefficient(tiles);
  Map(static_cast<int>(tiles.count()), out, [=] __device__(int i) {
    const T slope = static_cast<T>(x[i]) > 0 ? T(1) : slopes[coefficient(i)];
    return static_cast<T>(values[i]) * slope;
  });
}

template <typename T, typename S>
void AddSlopeGradient(const ChannelTiles& tiles, const S* x, const S* dy, T* da) {
  SumByCoefficient<1>(
      tiles,
      [=] __device__(int i, int, double* sums) {
        const T value = static_cast<T>(x[i]);
        const double diff = static_cast<T>(dy[i]);
        sums[0] += diff * (value > 0 ? T(0) : value);
      },
      [=] __device__(int k, const double* sums) { da[k] += static_cast<T>(sums[0]); });
}

}  // namespace

template <typename Dtype>
void PReLULayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceFormat format = from.format();
  const ChannelTiles tiles =
      CoefficientTiles(from.shape(), 1, channel_shared_ ? 0 : 1, format.layout);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* x = ReadElements<S>(from, format);
    S* y = WriteElementsFrom<S>(from, DeviceDataOf(top[0]), format);
    if (bottom[0] == top[0]) {
      bottom_memory_.ReshapeLike(*bottom[0]);
      device::Copy(DeviceDataOf(&bottom_memory_).WriteAs(format), x,
                   from.count() * sizeof(S));
    }
    MultiplyBySlope(tiles, this->blobs_[0]->gpu_data(), x, x, y);
  });
}

template <typename Dtype>
void PReLULayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                     const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceFormat format = from.format();
  const ChannelTiles tiles =
      CoefficientTiles(from.shape(), 1, channel_shared_ ? 0 : 1, format.layout);
  Blob<Dtype>* slopes = this->blobs_[0].get();
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const Blob<Dtype>* input = bottom[0] == top[0] ? &bottom_memory_ : bottom[0];
    const S* x = ReadElements<S>(DeviceDataOf(input), format);
    const S* dy = ReadElements<S>(from, format);
    if (this->param_propagate_down_[0]) {
      AddSlopeGradient(tiles, x, dy, slopes->mutable_gpu_diff());
    }
    if (propagate_down[0]) {
      MultiplyBySlope(tiles, slopes->gpu_data(), x, dy,
                      WriteElementsFrom<S>(from, DeviceDiffOf(bottom[0]), format));
    }
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(PReLULayer);

}  // namespace caffe
