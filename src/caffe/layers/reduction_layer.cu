#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_sums.cuh"
#include "caffe/layers/channel_tiles.cuh"
#include "caffe/layers/reduction_functors.hpp"
#include "caffe/layers/reduction_layer.hpp"

namespace caffe {
namespace {

template <typename T, typename Reduction>
void SumTerms(const ChannelTiles& tiles, Reduction reduction, T coefficient, const T* x,
              T* y) {
  SumByCoefficient<1>(
      tiles,
      [=] __device__(int i, int, double* sums) { sums[0] += reduction.Value(x[i]); },
      [=] __device__(int k, const double* sums) {
        y[k] = static_cast<T>(coefficient * sums[0]);
      });
}

template <typename T, typename Reduction>
void SpreadGradient(const ChannelTiles& tiles, Reduction reduction, T coefficient,
                    const T* x, const T* dy, T* dx) {
  const CoefficientIndex result(tiles);
  Map(static_cast<int>(tiles.count()), dx, [=] __device__(int i) {
    const T d = coefficient * dy[result(i)];
    return reduction.Gradient(Reduction::kNeedsInput ? x[i] : T(0), d);
  });
}

// The axes that remain take the part of coefficients: one for every result.
DeviceLayout LayoutFor(int axis, DeviceLayout layout) {
  return CoefficientsGoWithChannels(0, axis) ? layout : DeviceLayout::kPlain;
}

}  // namespace

template <typename Dtype>
void ReductionLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const DeviceTensor<Dtype> from = DeviceDataOf(bottom[0]);
  const DeviceLayout layout = LayoutFor(axis_, from.layout());
  const Dtype* x = from.Read(layout);
  Dtype* y = DeviceDataOf(top[0]).Write();
  WithReduction(op_, [&](auto reduction) {
    SumTerms(CoefficientTiles(bottom[0]->shape(), 0, axis_, layout), reduction, coeff_, x,
             y);
  });
}

template <typename Dtype>
void ReductionLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const DeviceTensor<Dtype> values = DeviceDataOf(bottom[0]);
  const DeviceLayout layout = LayoutFor(axis_, values.layout());
  const Dtype* dy = DeviceDiffOf(top[0]).Read();
  Dtype* dx = DeviceDiffOf(bottom[0]).Write(layout);
  WithReduction(op_, [&](auto reduction) {
    const Dtype* x = reduction.kNeedsInput ? values.Read(layout) : nullptr;
    SpreadGradient(CoefficientTiles(bottom[0]->shape(), 0, axis_, layout), reduction,
                   coeff_, x, dy, dx);
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(ReductionLayer);

}  // namespace caffe
