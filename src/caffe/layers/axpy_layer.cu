#include <vector>

#include "caffe/gpu/element.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/axpy_arithmetic.cuh"
#include "caffe/layers/axpy_layer.hpp"

namespace caffe {
namespace {

template <typename Dtype>
DeviceShape ShapeOf(const Blob<Dtype>& blob, DeviceFormat format) {
  return {blob.shape(0), blob.shape(1), blob.count(2),
          format.layout == DeviceLayout::kChannelsLast};
}

}  // namespace

template <typename Dtype>
void AxpyLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> x = DeviceDataOf(bottom[1]), y = DeviceDataOf(bottom[2]);
  const DeviceFormat format = CommonFormat<Dtype>({x, y});
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    axpy::Forward(ShapeOf(*bottom[1], format), bottom[0]->gpu_data(),
                  static_cast<const S*>(x.ReadAs(format)),
                  static_cast<const S*>(y.ReadAs(format)),
                  static_cast<S*>(DeviceDataOf(top[0]).WriteFromAs(y, format)));
  });
}

template <typename Dtype>
void AxpyLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  const DeviceTensor<Dtype> d_out = DeviceDiffOf(top[0]);
  const DeviceFormat format = d_out.format();
  const Dtype* a = bottom[0]->gpu_data();
  Dtype* da = propagate_down[0] ? DeviceDiffOf(bottom[0]).Write() : nullptr;
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* x =
        da ? static_cast<const S*>(DeviceDataOf(bottom[1]).ReadAs(format)) : nullptr;
    const S* gradient = static_cast<const S*>(d_out.ReadAs(format));
    S* dx = propagate_down[1] ? static_cast<S*>(DeviceDiffOf(bottom[1]).WriteAs(format))
                              : nullptr;
    // In place, dy is d_out already.
    S* dy = propagate_down[2] && top[0] != bottom[2]
                ? static_cast<S*>(DeviceDiffOf(bottom[2]).WriteAs(format))
                : nullptr;
    axpy::Backward(ShapeOf(*bottom[1], format), gradient, a, x, da, dx, dy);
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(AxpyLayer);

}  // namespace caffe
