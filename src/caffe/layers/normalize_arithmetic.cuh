#ifndef CAFFE_LAYERS_NORMALIZE_ARITHMETIC_CUH_
#define CAFFE_LAYERS_NORMALIZE_ARITHMETIC_CUH_

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/normalize_arithmetic.hpp"

namespace caffe {

// What normalize_arithmetic.hpp does, on a GPU.

/// Channel and group of an element.
class NormIndex {
 public:
  explicit NormIndex(const NormGroups& g)
      : spatial_(g.spatial), channels_(g.channels), whole_image_(g.whole_image) {}
  CAFFE_HOST_DEVICE int Group(int i, int* channel) const {
    int s;
    const int n = channels_.Quotient(spatial_.Quotient(i, &s), channel);
    return whole_image_ ? n : n * spatial_.divisor() + s;
  }

 private:
  Divisor spatial_, channels_;
  bool whole_image_;
};

/// sums[k] = finish(the sum of term(i) over the elements of group k).
template <typename Term, typename Finish>
void SumByGroup(const NormGroups& g, Term term, Finish finish, double* sums) {
  if (g.whole_image) {
    const int length = g.channels * g.spatial;
    SumByCoefficient<1>(
        ChannelTiles{1, g.images, length, 1},
        [=] __device__(int i, int, double* sum) { sum[0] += term(i); },
        [=] __device__(int k, const double* sum) { sums[k] = finish(sum[0]); });
    return;
  }
  const Divisor spatial(g.spatial);
  const int channels = g.channels;
  ForEach(g.groups(), [=] __device__(int k) {
    int s;
    const int first = spatial.Quotient(k, &s) * channels * spatial.divisor() + s;
    double sum = 0;
    for (int c = 0; c < channels; ++c) sum += term(first + c * spatial.divisor());
    sums[k] = finish(sum);
  });
}

template <typename T>
void DeviceNormalizeForward(const NormGroups& g, double eps, const T* scale,
                            int scale_step, const T* x, T* y, double* inverse) {
  SumByGroup(
      g, [=] __device__(int i) { return static_cast<double>(x[i]) * x[i]; },
      [=] __device__(double sum) { return InverseNorm(sum + eps); }, inverse);
  const NormIndex index(g);
  Map(g.images * g.channels * g.spatial, y, [=] __device__(int i) {
    int channel;
    const double factor = inverse[index.Group(i, &channel)];
    return scale[channel * scale_step] * (x[i] * factor);
  });
}

template <typename T>
void DeviceNormalizeBackward(const NormGroups& g, const double* inverse, const T* scale,
                             int scale_step, const T* x, const T* dy, T* dx,
                             double* sums) {
  const NormIndex index(g);
  SumByGroup(
      g,
      [=] __device__(int i) {
        int channel;
        index.Group(i, &channel);
        return static_cast<double>(scale[channel * scale_step]) * dy[i] * x[i];
      },
      [=] __device__(double sum) { return sum; }, sums);
  Map(g.images * g.channels * g.spatial, dx, [=] __device__(int i) {
    int channel;
    const int group = index.Group(i, &channel);
    const double factor = inverse[group];
    return (scale[channel * scale_step] * dy[i] -
            x[i] * (sums[group] * factor * factor)) *
           factor;
  });
}

template <typename T>
void DeviceNormalizeScaleGradient(const NormGroups& g, const double* inverse,
                                  int scale_step, const T* x, const T* dy, T* dscale) {
  const NormIndex index(g);
  const int channels = scale_step == 0 ? 1 : g.channels;
  const int repeats = scale_step == 0 ? 1 : g.images;
  const int rest = scale_step == 0 ? g.images * g.channels * g.spatial : g.spatial;
  SumByCoefficient<1>(
      ChannelTiles{repeats, channels, rest, 1},
      [=] __device__(int i, int, double* sum) {
        int channel;
        sum[0] += dy[i] * (x[i] * inverse[index.Group(i, &channel)]);
      },
      [=] __device__(int k, const double* sum) { dscale[k] += static_cast<T>(sum[0]); });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_NORMALIZE_ARITHMETIC_CUH_
