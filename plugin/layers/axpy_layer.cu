#include <vector>

#include "caffe/layers/axpy_arithmetic.cuh"
#include "caffe/layers/axpy_layer.hpp"

namespace caffe {
namespace {

template <typename Dtype>
DeviceShape ShapeOf(const Blob<Dtype>& blob) {
  const DeviceShape shape = {blob.shape(0), blob.shape(1), blob.count(2), false};
  return shape;
}

}  // namespace

template <typename Dtype>
void AxpyLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                   const vector<Blob<Dtype>*>& top) {
  axpy::Forward(ShapeOf(*bottom[1]), bottom[0]->gpu_data(), bottom[1]->gpu_data(),
                bottom[2]->gpu_data(), top[0]->mutable_gpu_data());
}

template <typename Dtype>
void AxpyLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                    const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  Dtype* diffs[3];
  for (int i = 0; i < 3; ++i) {
    const bool wanted = propagate_down[i] && bottom[i] != top[0];
    diffs[i] = wanted ? bottom[i]->mutable_gpu_diff() : nullptr;
  }
  axpy::Backward(ShapeOf(*bottom[1]), top[0]->gpu_diff(), bottom[0]->gpu_data(),
                 bottom[1]->gpu_data(), diffs[0], diffs[1], diffs[2]);
}

INSTANTIATE_LAYER_GPU_FUNCS(AxpyLayer);

}  // namespace caffe
