#include <vector>

#include "caffe/gpu/buffer.hpp"
#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/mvn_formulas.hpp"
#include "caffe/layers/mvn_layer.hpp"

namespace caffe {
namespace {

template <typename T>
void Means(const ChannelTiles& tiles, const T* x, T* means) {
  const double length = static_cast<double>(tiles.spatial);
  SumByCoefficient<1>(
      tiles, [=] __device__(int i, int, double* sums) { sums[0] += x[i]; },
      [=] __device__(int g, const double* sums) {
        means[g] = static_cast<T>(sums[0] / length);
      });
}

template <typename T>
void Variances(const ChannelTiles& tiles, const T* x, const T* means, T* variances) {
  const double length = static_cast<double>(tiles.spatial);
  SumByCoefficient<1>(
      tiles,
      [=] __device__(int i, int g, double* sums) {
        const double distance = static_cast<double>(x[i]) - means[g];
        sums[0] += distance * distance;
      },
      [=] __device__(int g, const double* sums) {
        variances[g] = static_cast<T>(sums[0] / length);
      });
}

template <typename T>
void Normalise(int count, const Divisor length, const MVNFormulas<T> f, const T* x,
               const T* means, const T* variances, T* y) {
  Map(count, y, [=] __device__(int i) {
    const int g = length.Quotient(i);
    return (x[i] - means[g]) * (f.divides ? f.Factor(variances[g]) : T(1));
  });
}

// Means of dy and of dy y, by group.
template <typename T>
void GradientMeans(const ChannelTiles& tiles, const T* y, const T* dy, double* means) {
  const double length = static_cast<double>(tiles.spatial);
  SumByCoefficient<2>(
      tiles,
      [=] __device__(int i, int, double* sums) {
        sums[0] += dy[i];
        sums[1] += static_cast<double>(dy[i]) * y[i];
      },
      [=] __device__(int g, const double* sums) {
        means[2 * g] = sums[0] / length;
        means[2 * g + 1] = sums[1] / length;
      });
}

template <typename T>
void ApplyGradient(int count, const Divisor length, const MVNFormulas<T> f,
                   const double* means, const T* variances, const T* y, const T* dy,
                   T* dx) {
  Map(count, dx, [=] __device__(int i) {
    const int g = length.Quotient(i);
    const T centred = dy[i] - static_cast<T>(means[2 * g]);
    if (!f.divides) return centred;
    const T along = static_cast<T>(means[2 * g + 1]) * f.Stretch(variances[g]);
    return (centred - y[i] * along) * f.Factor(variances[g]);
  });
}

}  // namespace

template <typename Dtype>
void MVNLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const int groups = mean_.count(), count = bottom[0]->count();
  if (count == 0) return;
  const ChannelTiles tiles{1, groups, count / groups, 1};
  const MVNFormulas<Dtype> f(this->layer_param_.mvn_param());
  const Dtype* x = DeviceDataOf(bottom[0]).Read();
  Means(tiles, x, mean_.mutable_gpu_data());
  Dtype* variances = variance_.mutable_gpu_data();
  if (f.divides) Variances(tiles, x, mean_.gpu_data(), variances);
  Normalise(count, Divisor(count / groups), f, x, mean_.gpu_data(),
            static_cast<const Dtype*>(variances),
            DeviceDataOf(top[0]).WriteFrom(DeviceDataOf(bottom[0])));
}

template <typename Dtype>
void MVNLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                   const vector<bool>& propagate_down,
                                   const vector<Blob<Dtype>*>& bottom) {
  const int groups = mean_.count(), count = bottom[0]->count();
  if (!propagate_down[0] || count == 0) return;
  const DeviceBuffer<double> means(std::size_t{2} * groups);
  const Dtype* y = DeviceDataOf(top[0]).Read();
  const Dtype* dy = DeviceDiffOf(top[0]).Read();
  GradientMeans(ChannelTiles{1, groups, count / groups, 1}, y, dy, means.get());
  ApplyGradient(count, Divisor(count / groups),
                MVNFormulas<Dtype>(this->layer_param_.mvn_param()),
                static_cast<const double*>(means.get()), variance_.gpu_data(), y, dy,
                DeviceDiffOf(bottom[0]).WriteFrom(DeviceDiffOf(top[0])));
}

INSTANTIATE_LAYER_GPU_FUNCS(MVNLayer);

}  // namespace caffe
