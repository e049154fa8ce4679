#include "caffe/layers/pooling_layer.hpp"

#include <vector>

#include "caffe/gpu/pooling.hpp"

namespace caffe {
namespace {

// One window an image has no layout of its own: its gradient takes the image's.
template <typename Dtype>
DeviceFormat GradientFormat(const Blob<Dtype>* top, const Blob<Dtype>* bottom) {
  return top->count(2) == 1 ? DeviceDataOf(bottom).format() : DeviceDiffOf(top).format();
}

}  // namespace

template <typename Dtype>
void PoolingLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> src = DeviceDataOf(bottom[0]), dst = DeviceDataOf(top[0]);
  const DeviceFormat format = src.format();
  switch (this->layer_param_.pooling_param().pool()) {
    case PoolingParameter_PoolMethod_MAX: {
      const DeviceTensor<int> mask = DeviceDataOf(&max_idx_);
      DeviceMaxPool(Problem(), format, src, dst, mask);
      max_idx_block_ = 1;
      if (top.size() > 1) DeviceMaskValues(format.layout, mask, DeviceDataOf(top[1]));
      break;
    }
    case PoolingParameter_PoolMethod_AVE:
      DeviceAveragePool(Problem(), format, src, dst);
      break;
    default:
      NOT_IMPLEMENTED;
  }
}

template <typename Dtype>
void PoolingLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const DeviceTensor<Dtype> dy = DeviceDiffOf(top[0]), dx = DeviceDiffOf(bottom[0]);
  const DeviceFormat format = GradientFormat(top[0], bottom[0]);
  switch (this->layer_param_.pooling_param().pool()) {
    case PoolingParameter_PoolMethod_MAX:
      UnpackMask();
      DeviceMaxPoolBackward(Problem(), format, dy, DeviceDataOf(&max_idx_), dx);
      break;
    case PoolingParameter_PoolMethod_AVE:
      DeviceAveragePoolBackward(Problem(), format, dy, dx);
      break;
    default:
      NOT_IMPLEMENTED;
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(PoolingLayer);

}  // namespace caffe
