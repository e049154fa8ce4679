#ifndef CAFFE_LAYERS_ELEMENTWISE_LAYER_HPP_
#define CAFFE_LAYERS_ELEMENTWISE_LAYER_HPP_

// What runs the layers that are one functor.

#include <cstdint>
#include <typeinfo>
#include <vector>

#include "caffe/layer.hpp"
#include "caffe/layers/elementwise_functors.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/parallel.hpp"
#include "caffe/util/vector_math.hpp"

namespace caffe {

/// Traits of a layer `of` whose gradient goes by `source`.
inline LayerTraits ElementwiseTraits(const std::type_info& of, GradientSource source,
                                     bool in_place) {
  LayerTraits traits{.of = &of, .in_place = {InPlace::kChanges}, .device_only = true};
  switch (source) {
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

/// All layouts are dense, so packed data is taken as it is. In place, `kept` takes the
/// input if Backward needs it; of a functor that never goes by it, it may be null.
template <typename Dtype, typename Functor>
void ElementwiseForward(const Functor f, const vector<Blob<Dtype>*>& bottom,
                        const vector<Blob<Dtype>*>& top, Blob<Dtype>* kept) {
  const int block = DataOf(bottom[0]).block();
  const Dtype* x = DataOf(bottom[0]).Read(block);
  Dtype* y = DataOf(top[0]).WriteFrom(DataOf(bottom[0]), block);
  if (bottom[0] == top[0] && f.Source() == GradientSource::kInput) {
    kept->ReshapeLike(*bottom[0]);
    caffe_copy(bottom[0]->count(), x, DataOf(kept).Write(block));
  }
  ParallelChunks(bottom[0]->count(), [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = f.Value(x[i]);
  });
}

template <typename Dtype, typename Functor>
void ElementwiseBackward(const Functor f, const vector<Blob<Dtype>*>& top,
                         const vector<bool>& propagate_down,
                         const vector<Blob<Dtype>*>& bottom, Blob<Dtype>* kept) {
  if (!propagate_down[0]) return;
  const int block = DiffOf(top[0]).block();
  const bool in_place = bottom[0] == top[0];
  const GradientSource source = f.Source();
  // With kSign the top is left alone where it can be: an in-place layer behind this
  // one may have changed it.
  const Dtype* y =
      DataOf(source == GradientSource::kSign ? bottom[0] : top[0]).Read(block);
  const Dtype* x = y;
  if (source == GradientSource::kInput) {
    x = DataOf(in_place ? kept : bottom[0]).Read(block);
  }
  const Dtype* dy = DiffOf(top[0]).Read(block);
  Dtype* dx = DiffOf(bottom[0]).WriteFrom(DiffOf(top[0]), block);
  ParallelChunks(bottom[0]->count(), [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) dx[i] = f.Gradient(x[i], y[i], dy[i]);
  });
}

/// Forward_cpu and Backward_cpu of NameLayer by NameFunctor.
#define ELEMENTWISE_PASSES(Name, kept)                                               \
  template <typename Dtype>                                                          \
  void Name##Layer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,           \
                                       const vector<Blob<Dtype>*>& top) {            \
    ElementwiseForward<Dtype>(Name##Functor<Dtype>(this->layer_param_), bottom, top, \
                              kept);                                                 \
  }                                                                                  \
  template <typename Dtype>                                                          \
  void Name##Layer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,             \
                                        const vector<bool>& propagate_down,          \
                                        const vector<Blob<Dtype>*>& bottom) {        \
    ElementwiseBackward<Dtype>(Name##Functor<Dtype>(this->layer_param_), top,        \
                               propagate_down, bottom, kept);                        \
  }

/// These and Traits, with which SetUp comes to build the functor: wrong parameters throw.
#define ELEMENTWISE_LAYER(Name, kept)                                           \
  ELEMENTWISE_PASSES(Name, kept)                                                \
  template <typename Dtype>                                                     \
  LayerTraits Name##Layer<Dtype>::Traits() const {                              \
    return ElementwiseTraits(typeid(Name##Layer),                               \
                             Name##Functor<Dtype>(this->layer_param_).Source(), \
                             this->in_place());                                 \
  }

}  // namespace caffe

#endif  // CAFFE_LAYERS_ELEMENTWISE_LAYER_HPP_
