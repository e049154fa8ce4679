// The layers with y = f(x) for every element, on a GPU.

#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/absval_layer.hpp"
#include "caffe/layers/bnll_layer.hpp"
#include "caffe/layers/clip_layer.hpp"
#include "caffe/layers/elementwise_functors.hpp"
#include "caffe/layers/elu_layer.hpp"
#include "caffe/layers/exp_layer.hpp"
#include "caffe/layers/log_layer.hpp"
#include "caffe/layers/power_layer.hpp"
#include "caffe/layers/relu_layer.hpp"
#include "caffe/layers/sigmoid_layer.hpp"
#include "caffe/layers/swish_layer.hpp"
#include "caffe/layers/tanh_layer.hpp"
#include "caffe/layers/threshold_layer.hpp"

namespace caffe {
namespace {

template <typename Functor, typename S>
void Apply(const Functor f, int count, const S* x, S* y) {
  Map(count, y, [=] __device__(int i) { return f.Value(x[i]); });
}

template <typename Functor, typename S>
void ApplyGradient(const Functor f, int count, const S* x, const S* y, const S* dy,
                   S* dx) {
  Map(count, dx, [=] __device__(int i) { return f.Gradient(x[i], y[i], dy[i]); });
}

// What ElementwiseForward and ElementwiseBackward do on the host.
template <typename Dtype, typename Functor>
void DeviceForward(const Functor f, const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top, Blob<Dtype>* kept) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]), to = DeviceDataOf(top[0]);
  const DeviceFormat format = from.format();
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* x = static_cast<const S*>(from.ReadAs(format));
    S* y = static_cast<S*>(to.WriteFromAs(from, format));
    if (bottom[0] == top[0] && f.Source() == GradientSource::kInput) {
      kept->ReshapeLike(*bottom[0]);
      device::Copy(DeviceDataOf(kept).WriteAs(format), x, from.count() * sizeof(S));
    }
    Apply(f, from.count(), x, y);
  });
}

template <typename Dtype, typename Functor>
void DeviceBackward(const Functor f, const vector<Blob<Dtype>*>& top,
                    const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom, Blob<Dtype>* kept) {
  if (!propagate_down[0]) return;
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]), to = DeviceDiffOf(bottom[0]);
  const DeviceFormat format = from.format();
  const bool in_place = bottom[0] == top[0];
  const GradientSource source = f.Source();
  const Blob<Dtype>* output = source == GradientSource::kSign ? bottom[0] : top[0];
  const Blob<Dtype>* input =
      source == GradientSource::kInput ? (in_place ? kept : bottom[0]) : output;
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* y = static_cast<const S*>(DeviceDataOf(output).ReadAs(format));
    const S* x = static_cast<const S*>(DeviceDataOf(input).ReadAs(format));
    const S* dy = static_cast<const S*>(from.ReadAs(format));
    S* dx = static_cast<S*>(to.WriteFromAs(from, format));
    ApplyGradient(f, to.count(), x, y, dy, dx);
  });
}

}  // namespace

#define ELEMENTWISE_GPU(Name, kept)                                               \
  template <typename Dtype>                                                       \
  void Name##Layer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,        \
                                       const vector<Blob<Dtype>*>& top) {         \
    DeviceForward(Name##Functor<Dtype>(this->layer_param_), bottom, top,          \
                  static_cast<Blob<Dtype>*>(kept));                               \
  }                                                                               \
  template <typename Dtype>                                                       \
  void Name##Layer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,          \
                                        const vector<bool>& propagate_down,       \
                                        const vector<Blob<Dtype>*>& bottom) {     \
    DeviceBackward(Name##Functor<Dtype>(this->layer_param_), top, propagate_down, \
                   bottom, static_cast<Blob<Dtype>*>(kept));                      \
  }                                                                               \
  INSTANTIATE_LAYER_GPU_FUNCS(Name##Layer)

ELEMENTWISE_GPU(AbsVal, &this->kept_input_);
ELEMENTWISE_GPU(BNLL, nullptr);
ELEMENTWISE_GPU(Clip, &this->kept_input_);
ELEMENTWISE_GPU(ELU, &this->kept_input_);
ELEMENTWISE_GPU(Exp, nullptr);
ELEMENTWISE_GPU(Log, &this->kept_input_);
ELEMENTWISE_GPU(Power, &this->kept_input_);
ELEMENTWISE_GPU(ReLU, &this->kept_input_);
ELEMENTWISE_GPU(Sigmoid, nullptr);
ELEMENTWISE_GPU(Swish, &this->kept_input_);
ELEMENTWISE_GPU(TanH, nullptr);

template <typename Dtype>
void ThresholdLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  DeviceForward(ThresholdFunctor<Dtype>{threshold_}, bottom, top,
                static_cast<Blob<Dtype>*>(nullptr));
}
template <typename Dtype>
void ThresholdLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  Backward_cpu(top, propagate_down, bottom);
}
INSTANTIATE_LAYER_GPU_FUNCS(ThresholdLayer);

}  // namespace caffe
