#include <cmath>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/gpu/buffer.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/batch_norm_formulas.hpp"
#include "caffe/layers/batch_norm_layer.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/channel_tiles.cuh"

namespace caffe {
namespace {

// A tensor of one axis has one channel.
ChannelTiles TilesOfChannels(const vector<int>& shape, DeviceLayout layout) {
  return CoefficientTiles(shape, 1, shape.size() == 1 ? 0 : 1, layout);
}

// What Forward uses per channel.
struct Used {
  double *mean, *inverse_std;
  double eps;

  __device__ void Set(int c, const ChannelStatistics& statistics) const {
    mean[c] = statistics.mean;
    inverse_std[c] = statistics.InverseStd(eps);
  }
};

template <typename T>
void UseSums(int channels, const T* mean_sum, const T* variance_sum, const T* factor,
             const Used used) {
  ForEach(channels, [=] __device__(int c) {
    used.Set(c, ChannelStatistics::OfSums(mean_sum[c], variance_sum[c], *factor));
  });
}

template <typename T, typename S>
void UseBatch(const ChannelTiles& tiles, const S* x, T fraction, T* mean_sum,
              T* variance_sum, T* factor, const Used used) {
  const double count = static_cast<double>(tiles.repeats) * tiles.spatial;
  const int width = tiles.width, tile_size = static_cast<int>(tiles.tile_size());
  // One pass over memory: squares of the distances from a value of the channel lose
  // nothing where the mean is far from 0. One that is not finite would spoil the mean.
  const auto pivot_of = [=] __device__(int c) {
    const double value = static_cast<T>(x[c / width * tile_size + c % width]);
    return std::isfinite(value) ? value : 0.0;
  };
  SumByCoefficient<2>(
      tiles,
      [=] __device__(int i, int c, double* sums) {
        const double distance = static_cast<T>(x[i]) - pivot_of(c);
        sums[0] += distance;
        sums[1] += distance * distance;
      },
      [=] __device__(int c, const double* sums) {
        const double shift = sums[0] / count;
        const double variance = sums[1] / count - shift * shift;
        // NaN stays.
        const ChannelStatistics batch{pivot_of(c) + shift, variance < 0 ? 0 : variance};
        batch.AddTo(count, fraction, &mean_sum[c], &variance_sum[c]);
        if (c == 0) *factor = *factor * fraction + 1;
        used.Set(c, batch);
      });
}

template <typename T, typename S>
void Normalize(const ChannelTiles& tiles, const double* mean, const double* inverse_std,
               const S* x, S* y) {
  const int channels = static_cast<int>(tiles.period);
  const DeviceBuffer<ChannelMap<T>> buffer(channels);
  ChannelMap<T>* maps = buffer.get();
  ForEach(channels,
          [=] __device__(int c) { maps[c] = ChannelMap<T>(mean[c], inverse_std[c]); });
  const CoefficientIndex channel(tiles);
  Map(static_cast<int>(tiles.count()), y, [=] __device__(int i) {
    const ChannelMap<T> map = maps[channel(i)];
    return map.multiplier * static_cast<T>(x[i]) + map.shift;
  });
}

template <typename T>
void FixedGradients(int channels, const double* inverse_std,
                    ChannelGradient<T>* gradients) {
  ForEach(channels,
          [=] __device__(int c) { gradients[c] = ChannelGradient<T>(inverse_std[c]); });
}

// With `x_is_output`, x is normalised already.
template <typename T, typename S>
void BatchGradients(const ChannelTiles& tiles, const double* mean,
                    const double* inverse_std, bool x_is_output, const S* x, const S* dy,
                    ChannelGradient<T>* gradients) {
  const double count = static_cast<double>(tiles.repeats) * tiles.spatial;
  SumByCoefficient<2>(
      tiles,
      [=] __device__(int i, int c, double* sums) {
        const double diff = static_cast<T>(dy[i]);
        T unit = static_cast<T>(x[i]);
        if (!x_is_output) {
          unit = (unit - static_cast<T>(mean[c])) * static_cast<T>(inverse_std[c]);
        }
        sums[0] += diff;
        sums[1] += diff * unit;
      },
      [=] __device__(int c, const double* sums) {
        gradients[c] =
            ChannelGradient<T>(inverse_std[c], sums[0], sums[1], count,
                               x_is_output ? T(0) : static_cast<T>(mean[c]),
                               x_is_output ? T(1) : static_cast<T>(inverse_std[c]));
      });
}

template <typename T, typename S>
void ApplyGradients(const ChannelTiles& tiles, const ChannelGradient<T>* gradients,
                    const S* x, const S* dy, S* dx) {
  const CoefficientIndex channel(tiles);
  Map(static_cast<int>(tiles.count()), dx, [=] __device__(int i) {
    const ChannelGradient<T> gradient = gradients[channel(i)];
    return gradient.on_dy * static_cast<T>(dy[i]) + gradient.on_x * static_cast<T>(x[i]) +
           gradient.constant;
  });
}

}  // namespace

template <typename Dtype>
void BatchNormLayer<Dtype>::Recompute_gpu(const vector<Blob<Dtype>*>& bottom,
                                          const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceFormat format = from.format();
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* x = ReadElements<S>(from, format);
    Normalize<Dtype>(TilesOfChannels(from.shape(), format.layout), used_mean_.gpu_data(),
                     inverse_std_.gpu_data(), x,
                     WriteElementsFrom<S>(from, DeviceDataOf(top[0]), format));
  });
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  Blob<Dtype>& mean_sum = *this->blobs_[0];
  Blob<Dtype>& variance_sum = *this->blobs_[1];
  Blob<Dtype>& factor = *this->blobs_[2];
  const Used used = {used_mean_.mutable_gpu_data(), inverse_std_.mutable_gpu_data(),
                     eps_};
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceFormat format = from.format();
  if (use_global_stats_) {
    UseSums(channels_, mean_sum.gpu_data(), variance_sum.gpu_data(), factor.gpu_data(),
            used);
  } else {
    WithElement<Dtype>(format.type, [&]<typename S>(S) {
      UseBatch(TilesOfChannels(from.shape(), format.layout),
               ReadElements<S>(from, format), moving_average_fraction_,
               mean_sum.mutable_gpu_data(), variance_sum.mutable_gpu_data(),
               factor.mutable_gpu_data(), used);
    });
  }
  Recompute_gpu(bottom, top);
  // In place the input is gone; the top replaces it, unless it will be gone as well.
  x_norm_kept_ = bottom[0] == top[0] && !use_global_stats_ && options_.runs_backward &&
                 !options_.preserves(0);
  if (!x_norm_kept_) return;
  x_norm_.ReshapeLike(*top[0]);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    device::Copy(DeviceDataOf(&x_norm_).WriteAs(format),
                 DeviceDataOf(top[0]).ReadAs(format), from.count() * sizeof(S));
  });
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || bottom[0]->count() == 0) return;
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceFormat format = from.format();
  const ChannelTiles tiles = TilesOfChannels(from.shape(), format.layout);
  const DeviceBuffer<ChannelGradient<Dtype>> gradients(channels_);
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const S* dy = ReadElements<S>(from, format);
    // As on the host: with global statistics the values have no part in the gradient.
    const S* x = dy;
    if (use_global_stats_) {
      FixedGradients(channels_, inverse_std_.gpu_data(), gradients.get());
    } else {
      x = ReadElements<S>(DeviceDataOf(x_norm_kept_ ? &x_norm_ : bottom[0]), format);
      BatchGradients(tiles, used_mean_.gpu_data(), inverse_std_.gpu_data(),
                     bottom[0] == top[0], x, dy, gradients.get());
    }
    ApplyGradients(tiles, gradients.get(), x, dy,
                   WriteElementsFrom<S>(from, DeviceDiffOf(bottom[0]), format));
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(BatchNormLayer);
template void BatchNormLayer<float>::Recompute_gpu(const vector<Blob<float>*>&,
                                                   const vector<Blob<float>*>&);
template void BatchNormLayer<double>::Recompute_gpu(const vector<Blob<double>*>&,
                                                    const vector<Blob<double>*>&);

}  // namespace caffe
