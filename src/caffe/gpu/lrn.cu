#include "caffe/gpu/lrn.hpp"

#include <cmath>

#include "caffe/gpu/image_order.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

// Calls visit(place) for every element whose square counts in the sum at `at`, which are
// as well those in whose sums that of `at` counts: windows have an odd size.
template <typename Order, typename Visit>
__device__ void ForEachNeighbour(const LrnProblem& p, const Order& order,
                                 const ImagePlace& at, Visit visit) {
  const auto first = [&p](int place) {
    return place > p.reach() ? place - p.reach() : 0;
  };
  const auto last = [&p](int place, int length) {
    return place + p.reach() < length ? place + p.reach() : length - 1;
  };
  if (p.across_channels) {
    for (int c = first(at.c); c <= last(at.c, order.channels); ++c) {
      visit(ImagePlace{at.n, c, at.h, at.w});
    }
    return;
  }
  for (int h = first(at.h); h <= last(at.h, order.height); ++h) {
    for (int w = first(at.w); w <= last(at.w, order.width); ++w) {
      visit(ImagePlace{at.n, at.c, h, w});
    }
  }
}

template <typename Order>
__device__ int IndexOf(const Order& order, const ImagePlace& at) {
  return order.Index(at.n, at.c, at.h, at.w);
}

template <typename Order, typename T>
__global__ void Normalize(int count, LrnProblem p, Order order, const T* x, T* scale,
                          T* y) {
  CUDA_KERNEL_LOOP(i, count) {
    const ImagePlace at = order.At(i);
    const T share = static_cast<T>(LrnShare(p, at.h, at.w));
    T sum = static_cast<T>(p.across_channels ? p.k : 1);
    ForEachNeighbour(p, order, at, [&](const ImagePlace& other) {
      const T value = x[IndexOf(order, other)];
      sum += share * value * value;
    });
    scale[i] = sum;
    y[i] = x[i] * std::pow(sum, static_cast<T>(-p.beta));
  }
}

template <typename Order, typename T>
__global__ void NormalizeBackward(int count, LrnProblem p, Order order, const T* x,
                                  const T* y, const T* scale, const T* dy, T* dx) {
  CUDA_KERNEL_LOOP(i, count) {
    const ImagePlace at = order.At(i);
    T through = 0;
    ForEachNeighbour(p, order, at, [&](const ImagePlace& owner) {
      const int j = IndexOf(order, owner);
      const T share = static_cast<T>(LrnShare(p, owner.h, owner.w));
      through += share * dy[j] * y[j] / scale[j];
    });
    dx[i] = dy[i] * std::pow(scale[i], static_cast<T>(-p.beta)) -
            static_cast<T>(2 * p.beta) * x[i] * through;
  }
}

}  // namespace

template <typename T>
void DeviceLrnForward(const LrnProblem& problem, DeviceLayout layout, DeviceTensor<T> src,
                      DeviceTensor<T> scale, DeviceTensor<T> dst) {
  const T* x = src.Read(layout);
  T* sums = scale.Write(layout);
  T* y = dst.Write(layout);
  const auto start = [&](auto order) {
    LaunchKernel(Normalize<decltype(order), T>, CAFFE_GET_BLOCKS(src.count()),
                 CAFFE_CUDA_NUM_THREADS, src.count(), problem, order, x, sums, y);
  };
  WithOrders(layout, start, src.shape());
}

template <typename T>
void DeviceLrnBackward(const LrnProblem& problem, DeviceLayout layout,
                       DeviceTensor<T> src, DeviceTensor<T> dst, DeviceTensor<T> scale,
                       DeviceTensor<T> diff_dst, DeviceTensor<T> diff_src) {
  const T* x = src.Read(layout);
  const T* y = dst.Read(layout);
  const T* sums = scale.Read(layout);
  const T* dy = diff_dst.Read(layout);
  T* dx = diff_src.Write(layout);
  const auto start = [&](auto order) {
    LaunchKernel(NormalizeBackward<decltype(order), T>, CAFFE_GET_BLOCKS(src.count()),
                 CAFFE_CUDA_NUM_THREADS, src.count(), problem, order, x, y, sums, dy, dx);
  };
  WithOrders(layout, start, src.shape());
}

#define INSTANTIATE_LRN(T)                                                           \
  template void DeviceLrnForward(const LrnProblem&, DeviceLayout, DeviceTensor<T>,   \
                                 DeviceTensor<T>, DeviceTensor<T>);                  \
  template void DeviceLrnBackward(const LrnProblem&, DeviceLayout, DeviceTensor<T>,  \
                                  DeviceTensor<T>, DeviceTensor<T>, DeviceTensor<T>, \
                                  DeviceTensor<T>)
INSTANTIATE_LRN(float);
INSTANTIATE_LRN(double);

}  // namespace caffe
