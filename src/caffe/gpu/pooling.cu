#include "caffe/gpu/pooling.hpp"

#include <limits>

#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/image_order.cuh"
#include "caffe/util/block_sum.cuh"

namespace caffe {
namespace {

// What the values of a window become. Start() is an empty window, Take() adds a value
// with its place h·W + w, Join() adds the values behind, or beside, those so far.

template <typename T, typename S>
struct Largest {
  struct State {
    T value;
    int place;
  };
  S* dst;
  int* mask;
  T lowest = std::numeric_limits<T>::lowest();

  __device__ State Start() const { return {lowest, -1}; }
  static __device__ void Take(State* state, S element, int place) {
    const T value = static_cast<T>(element);
    if (value > state->value) *state = {value, place};
  }
  // Of equals the first counts; what found none holds less than what found one.
  static __device__ void Join(State* state, State other) {
    const bool first = other.value == state->value && other.place < state->place;
    if (other.value > state->value || first) *state = other;
  }
  __device__ void Finish(State state, int /*area*/, int to) const {
    dst[to] = static_cast<S>(state.value);
    mask[to] = state.place;
  }
};

template <typename T, typename S>
struct Mean {
  using State = T;
  S* dst;

  __device__ State Start() const { return 0; }
  static __device__ void Take(State* state, S element, int /*place*/) {
    *state += static_cast<T>(element);
  }
  static __device__ void Join(State* state, State other) { *state += other; }
  __device__ void Finish(State state, int area, int to) const {
    dst[to] = static_cast<S>(state / static_cast<T>(area));
  }
};

// One thread does one window, row by row: short sums lose fewer digits than a long one.
template <typename Pool, typename Order, typename S>
__global__ void PoolWindows(int count, PoolingProblem p, Order in, Order out, const S* x,
                            Pool pool) {
  CUDA_KERNEL_LOOP(i, count) {
    const ImagePlace at = out.At(i);
    const PoolingWindow win = WindowAt(p, in.height, in.width, at.h, at.w);
    const S* image = x + in.Index(at.n, at.c, 0, 0);
    auto state = pool.Start();
    for (int h = win.h0; h < win.h1; ++h) {
      auto row = pool.Start();
      for (int w = win.w0; w < win.w1; ++w) {
        Pool::Take(&row, image[h * in.RowStep() + w * in.ColumnStep()], h * in.width + w);
      }
      Pool::Join(&state, row);
    }
    pool.Finish(state, win.area, i);
  }
}

// The whole image is one window: a block does the windows of one channel or, where
// channels lie side by side, of a warp's width of them.
template <typename Pool, typename Order, typename S>
__global__ void PoolImages(PoolingProblem p, Order in, const S* x, Pool pool) {
  constexpr int kLanes = Order::kPlain ? 1 : kWarp;
  __shared__ typename Pool::State states[kMostThreads];
  const int tiles = (in.channels + kLanes - 1) / kLanes;
  const int n = blockIdx.x / tiles;
  const int c = blockIdx.x % tiles * kLanes + threadIdx.x % kLanes;
  const int first = threadIdx.x / kLanes, step = blockDim.x / kLanes;
  auto state = pool.Start();
  if (c < in.channels) {
    const S* image = x + in.Index(n, c, 0, 0);
    for (int place = first; place < in.height * in.width; place += step) {
      Pool::Take(&state, image[place * in.ColumnStep()], place);
    }
  }
  states[threadIdx.x] = state;
  for (int half = step / 2; half > 0; half /= 2) {
    __syncthreads();
    if (first >= half) continue;
    Pool::Join(&state, states[threadIdx.x + half * kLanes]);
    states[threadIdx.x] = state;
  }
  if (first > 0 || c >= in.channels) return;
  pool.Finish(state, WindowAt(p, in.height, in.width, 0, 0).area, n * in.channels + c);
}

// Whether PoolImages computes it, and is worth a block.
bool IsWholeImage(const PoolingProblem& p, const std::vector<int>& src,
                  const std::vector<int>& dst) {
  const PoolingWindow win = WindowAt(p, src[2], src[3], 0, 0);
  return dst[2] * dst[3] == 1 && win.h0 == 0 && win.w0 == 0 && win.h1 == src[2] &&
         win.w1 == src[3] && src[2] * src[3] >= kWarp;
}

template <typename Pool, typename T, typename S>
void Run(const PoolingProblem& p, DeviceLayout layout, DeviceTensor<T> src,
         DeviceTensor<T> dst, const S* x, Pool pool) {
  const auto start = [&](auto in, auto out) {
    using Order = decltype(in);
    if (!IsWholeImage(p, src.shape(), dst.shape())) {
      LaunchKernel(PoolWindows<Pool, Order, S>, CAFFE_GET_BLOCKS(dst.count()),
                   CAFFE_CUDA_NUM_THREADS, dst.count(), p, in, out, x, pool);
      return;
    }
    const int lanes = Order::kPlain ? 1 : kWarp;
    const int tiles = (in.channels + lanes - 1) / lanes;
    LaunchKernel(PoolImages<Pool, Order, S>, src.shape()[0] * tiles,
                 ThreadsFor(in.height * in.width * lanes), p, in, x, pool);
  };
  WithOrders(layout, start, src.shape(), dst.shape());
}

// The windows, along one axis, that a position belongs to: [first, last].
struct Windows {
  int first, last;
};

__device__ Windows WindowsOf(int position, int kernel, int stride, int pad, int outputs) {
  const int padded = position + pad;
  const int last = padded / stride;
  return {padded < kernel ? 0 : (padded - kernel) / stride + 1,
          last < outputs ? last : outputs - 1};
}

// Each thread gathers the gradient of one element from its windows, in the order in which
// the host adds them up.
template <typename Order, typename T, typename S, typename Share>
__global__ void GatherWindows(int count, PoolingProblem p, Order in, Order out,
                              Share share, S* dx) {
  CUDA_KERNEL_LOOP(i, count) {
    const ImagePlace at = in.At(i);
    const Windows rows = WindowsOf(at.h, p.kernel_h, p.stride_h, p.pad_h, out.height);
    const Windows columns = WindowsOf(at.w, p.kernel_w, p.stride_w, p.pad_w, out.width);
    T sum = 0;
    for (int oh = rows.first; oh <= rows.last; ++oh) {
      for (int ow = columns.first; ow <= columns.last; ++ow) {
        share(p, in, at, oh, ow, out.Index(at.n, at.c, oh, ow), &sum);
      }
    }
    dx[i] = static_cast<S>(sum);
  }
}

template <typename S>
struct ShareOfLargest {
  const S* dy;
  const int* mask;
  template <typename Order, typename T>
  __device__ void operator()(const PoolingProblem&, const Order& in, const ImagePlace& at,
                             int /*oh*/, int /*ow*/, int from, T* sum) const {
    if (mask[from] == at.h * in.width + at.w) *sum += static_cast<T>(dy[from]);
  }
};

template <typename S>
struct ShareOfMean {
  const S* dy;
  template <typename Order, typename T>
  __device__ void operator()(const PoolingProblem& p, const Order& in, const ImagePlace&,
                             int oh, int ow, int from, T* sum) const {
    const int area = WindowAt(p, in.height, in.width, oh, ow).area;
    *sum += static_cast<T>(dy[from]) / static_cast<T>(area);
  }
};

template <typename S, typename Share, typename T>
void RunBackward(const PoolingProblem& p, DeviceFormat format, DeviceTensor<T> diff_dst,
                 DeviceTensor<T> diff_src, Share share) {
  S* dx = static_cast<S*>(diff_src.WriteAs(format));
  const auto start = [&](auto in, auto out) {
    LaunchKernel(GatherWindows<decltype(in), T, S, Share>,
                 CAFFE_GET_BLOCKS(diff_src.count()), CAFFE_CUDA_NUM_THREADS,
                 diff_src.count(), p, in, out, share, dx);
  };
  WithOrders(format.layout, start, diff_src.shape(), diff_dst.shape());
}

}  // namespace

template <typename T>
void DeviceMaxPool(const PoolingProblem& problem, DeviceFormat format,
                   DeviceTensor<T> src, DeviceTensor<T> dst, DeviceTensor<int> mask) {
  WithElement<T>(format.type, [&]<typename S>(S) {
    const S* x = static_cast<const S*>(src.ReadAs(format));
    S* y = static_cast<S*>(dst.WriteAs(format));
    Run(problem, format.layout, src, dst, x, Largest<T, S>{y, mask.Write(format.layout)});
  });
}

template <typename T>
void DeviceAveragePool(const PoolingProblem& problem, DeviceFormat format,
                       DeviceTensor<T> src, DeviceTensor<T> dst) {
  WithElement<T>(format.type, [&]<typename S>(S) {
    const S* x = static_cast<const S*>(src.ReadAs(format));
    Run(problem, format.layout, src, dst, x,
        Mean<T, S>{static_cast<S*>(dst.WriteAs(format))});
  });
}

template <typename T>
void DeviceMaxPoolBackward(const PoolingProblem& problem, DeviceFormat format,
                           DeviceTensor<T> diff_dst, DeviceTensor<int> mask,
                           DeviceTensor<T> diff_src) {
  WithElement<T>(format.type, [&]<typename S>(S) {
    const ShareOfLargest<S> share{static_cast<const S*>(diff_dst.ReadAs(format)),
                                  mask.Read(format.layout)};
    RunBackward<S>(problem, format, diff_dst, diff_src, share);
  });
}

template <typename T>
void DeviceAveragePoolBackward(const PoolingProblem& problem, DeviceFormat format,
                               DeviceTensor<T> diff_dst, DeviceTensor<T> diff_src) {
  WithElement<T>(format.type, [&]<typename S>(S) {
    const ShareOfMean<S> share{static_cast<const S*>(diff_dst.ReadAs(format))};
    RunBackward<S>(problem, format, diff_dst, diff_src, share);
  });
}

template <typename T>
void DeviceMaskValues(DeviceLayout layout, DeviceTensor<int> mask, DeviceTensor<T> dst) {
  const int* places = mask.Read(layout);
  T* values = dst.Write(layout);
  ForEach(dst.count(), [=] __device__(int i) { values[i] = static_cast<T>(places[i]); });
}

#define INSTANTIATE_POOLING(T)                                                          \
  template void DeviceMaxPool(const PoolingProblem&, DeviceFormat, DeviceTensor<T>,     \
                              DeviceTensor<T>, DeviceTensor<int>);                      \
  template void DeviceMaxPoolBackward(const PoolingProblem&, DeviceFormat,              \
                                      DeviceTensor<T>, DeviceTensor<int>,               \
                                      DeviceTensor<T>);                                 \
  template void DeviceMaskValues(DeviceLayout, DeviceTensor<int>, DeviceTensor<T>);     \
  template void DeviceAveragePool(const PoolingProblem&, DeviceFormat, DeviceTensor<T>, \
                                  DeviceTensor<T>);                                     \
  template void DeviceAveragePoolBackward(const PoolingProblem&, DeviceFormat,          \
                                          DeviceTensor<T>, DeviceTensor<T>)
INSTANTIATE_POOLING(float);
INSTANTIATE_POOLING(double);

}  // namespace caffe
