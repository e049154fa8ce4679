#ifndef CAFFE_LAYERS_ELEMENTWISE_LAYER_IMPL_HPP_
#define CAFFE_LAYERS_ELEMENTWISE_LAYER_IMPL_HPP_

// Bodies of ElementwiseLayer's members, for the .cpp files of the concrete layers.

#include <cstdint>
#include <vector>

#include "caffe/layers/elementwise_layer.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/parallel.hpp"
#include "caffe/util/vector_math.hpp"

namespace caffe {

template <typename Dtype, template <typename> class Functor,
          template <typename> class Concrete>
void ElementwiseLayer<Dtype, Functor, Concrete>::LayerSetUp(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  NeuronLayer<Dtype>::LayerSetUp(bottom, top);
  functor_.Read(this->layer_param_);
}

template <typename Dtype, template <typename> class Functor,
          template <typename> class Concrete>
LayerTraits ElementwiseLayer<Dtype, Functor, Concrete>::Traits() const {
  LayerTraits traits{.of = &typeid(Concrete<Dtype>), .in_place = {InPlace::kChanges}};
  const bool in_place = this->in_place();
  switch (functor_.Source()) {
    case GradientSource::kOutput:
      traits.bottom_use = {DataUse::kNone};
      traits.top_use = {DataUse::kRead};
      break;
    case GradientSource::kSign:
      traits.bottom_use = {in_place ? DataUse::kReadSign : DataUse::kRead};
      traits.top_use = {DataUse::kNone};
      break;
    case GradientSource::kInput:
      traits.bottom_use = {in_place ? DataUse::kNone : DataUse::kRead};
      traits.top_use = {DataUse::kRead};
      break;
  }
  return traits;
}

template <typename Dtype, template <typename> class Functor,
          template <typename> class Concrete>
void ElementwiseLayer<Dtype, Functor, Concrete>::Forward_cpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const int block = DataOf(bottom[0]).block();
  const Dtype* x = DataOf(bottom[0]).Read(block);
  Dtype* y = DataOf(top[0]).WriteFrom(DataOf(bottom[0]), block);
  if (bottom[0] == top[0] && functor_.Source() == GradientSource::kInput) {
    kept_input_.ReshapeLike(*bottom[0]);
    caffe_copy(bottom[0]->count(), x, DataOf(&kept_input_).Write(block));
  }
  const Functor<Dtype> f = functor_;
  ParallelChunks(bottom[0]->count(), [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = f.Value(x[i]);
  });
}

template <typename Dtype, template <typename> class Functor,
          template <typename> class Concrete>
void ElementwiseLayer<Dtype, Functor, Concrete>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int block = DiffOf(top[0]).block();
  const bool in_place = bottom[0] == top[0];
  const GradientSource source = functor_.Source();
  // With kSign the top is left alone where it can be: an in-place layer behind this
  // one may have changed it.
  const Dtype* y =
      DataOf(source == GradientSource::kSign ? bottom[0] : top[0]).Read(block);
  const Dtype* x = y;
  if (source == GradientSource::kInput) {
    x = DataOf(in_place ? &kept_input_ : bottom[0]).Read(block);
  }
  const Dtype* dy = DiffOf(top[0]).Read(block);
  Dtype* dx = DiffOf(bottom[0]).WriteFrom(DiffOf(top[0]), block);
  const Functor<Dtype> f = functor_;
  ParallelChunks(bottom[0]->count(), [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) dx[i] = f.Gradient(x[i], y[i], dy[i]);
  });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_ELEMENTWISE_LAYER_IMPL_HPP_
