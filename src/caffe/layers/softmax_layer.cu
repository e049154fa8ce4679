#include <vector>

#include "caffe/layers/softmax_layer.hpp"
#include "caffe/ops/softmax.cuh"

namespace caffe {

template <typename Dtype>
void SoftmaxLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceLayout layout = softmax::LayoutFor(softmax_axis_, from.layout());
  const softmax::Shape shape = softmax::ShapeOf(from.shape(), softmax_axis_, layout);
  const Dtype* x = from.Read(layout);
  softmax::ForEachRow(
      shape, softmax::Forward<Dtype>{shape.channels, x,
                                     DeviceDataOf(top[0]).WriteFrom(from, layout)});
}

template <typename Dtype>
void SoftmaxLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceLayout layout = softmax::LayoutFor(softmax_axis_, from.layout());
  const softmax::Shape shape = softmax::ShapeOf(from.shape(), softmax_axis_, layout);
  const Dtype* y = DeviceDataOf(top[0]).Read(layout);
  const Dtype* dy = from.Read(layout);
  softmax::ForEachRow(
      shape, softmax::Backward<Dtype>{shape.channels, y, dy,
                                      DeviceDiffOf(bottom[0]).WriteFrom(from, layout)});
}

INSTANTIATE_LAYER_GPU_FUNCS(SoftmaxLayer);

}  // namespace caffe
