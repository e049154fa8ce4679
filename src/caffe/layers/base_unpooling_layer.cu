#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/layers/base_unpooling_layer.hpp"
#include "caffe/layers/channel_sums.cuh"

namespace caffe {
namespace {

template <typename T>
bool AnyOutside(int count, int plane, const T* places) {
  return SumOverAll<1>(count, [=] __device__(int i, int, double* sums) {
           sums[0] += !(places[i] >= 0 && places[i] < plane);
         })[0] > 0;
}

// The last value of each place, whatever the order in which threads come.
template <typename T>
void FindSources(int values, int count, int plane, int top_count, const T* places,
                 int* source) {
  Map(top_count, source, [=] __device__(int) { return -1; });
  const Divisor by_values(values);
  ForEach(count, [=] __device__(int i) {
    const int p = by_values.Quotient(i);
    atomicMax(source + p * plane + static_cast<int>(places[i]), i);
  });
}

template <typename T>
void TakeValues(int top_count, const int* source, const T* x, T* y) {
  Map(top_count, y,
      [=] __device__(int t) { return source[t] < 0 ? T(0) : x[source[t]]; });
}

template <typename T>
void SetZero(int count, T* to) {
  Map(count, to, [=] __device__(int) { return T(0); });
}

template <typename T>
void GiveGradients(int top_count, const int* source, const T* dy, T* dx) {
  ForEach(top_count, [=] __device__(int t) {
    if (source[t] >= 0) dx[source[t]] = dy[t];
  });
}

}  // namespace

template <typename Dtype>
void BaseUnpoolingLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  const Blob<Dtype>& places = Places(bottom);
  const int plane = top[0]->count(2);
  if (AnyOutside(places.count(), plane, places.gpu_data())) RefusePlace(places);
  int* source = source_.mutable_gpu_data();
  FindSources(bottom[0]->count(2), places.count(), plane, top[0]->count(),
              places.gpu_data(), source);
  TakeValues(top[0]->count(), source, bottom[0]->gpu_data(), top[0]->mutable_gpu_data());
}

template <typename Dtype>
void BaseUnpoolingLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                             const vector<bool>& propagate_down,
                                             const vector<Blob<Dtype>*>& bottom) {
  if (bottom.size() > 1 && propagate_down[1]) {
    SetZero(bottom[1]->count(), bottom[1]->mutable_gpu_diff());
  }
  if (!propagate_down[0]) return;
  Dtype* dx = bottom[0]->mutable_gpu_diff();
  SetZero(bottom[0]->count(), dx);
  GiveGradients(top[0]->count(), source_.gpu_data(), top[0]->gpu_diff(), dx);
}

INSTANTIATE_LAYER_GPU_FUNCS(BaseUnpoolingLayer);

}  // namespace caffe
