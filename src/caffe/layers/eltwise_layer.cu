#include <vector>

#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/list.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/eltwise_functors.hpp"
#include "caffe/layers/eltwise_layer.hpp"
#include "caffe/layers/weighted_sum.cuh"

namespace caffe {
namespace {

// S is what elements are in memory, T what is computed with.

template <typename T, typename S>
void MultiplyAll(int count, const vector<const S*>& bottoms, S* y) {
  const DeviceList<const S*> list(bottoms);
  const auto x = list.view();
  Map(count, y, [=] __device__(int i) {
    T product = static_cast<T>(x[0][i]) * static_cast<T>(x[1][i]);
    for (int b = 2; b < x.size(); ++b) product *= static_cast<T>(x[b][i]);
    return product;
  });
}

template <typename T>
struct Winner {
  int bottom;
  T value;
};

// The largest of the bottoms' values at i.
template <typename T, typename View>
__device__ Winner<T> WinnerAt(const View& x, int i) {
  Winner<T> winner = {0, static_cast<T>(x[0][i])};
  for (int b = 1; b < x.size(); ++b) {
    const T value = static_cast<T>(x[b][i]);
    if (Wins(b, value, winner.value)) winner = {b, value};
  }
  return winner;
}

template <typename T, typename S>
void LargestOf(int count, const vector<const S*>& bottoms, S* y) {
  const DeviceList<const S*> list(bottoms);
  const auto x = list.view();
  Map(count, y, [=] __device__(int i) { return WinnerAt<T>(x, i).value; });
}

// Where dx of bottom `index` goes.
template <typename T, typename S>
struct Gradient {
  int index;
  T factor;
  S* dx;
};

// dx_b = factor_b dy; one of them may be dy.
template <typename T, typename S>
void ShareOut(int count, const S* dy, const vector<Gradient<T, S>>& gradients) {
  const DeviceList<Gradient<T, S>> list(gradients);
  const auto g = list.view();
  ForEach<T>(
      count, [=] __device__(int i) { return static_cast<T>(dy[i]); },
      [=] __device__(int i, T diff) {
        for (int k = 0; k < g.size(); ++k) {
          g[k].dx[i] = static_cast<S>(g[k].factor * diff);
        }
      });
}

// dx_b = y / x_b dy
template <typename T, typename S>
void DivideOut(int count, const S* x, const S* y, const S* dy, S* dx) {
  Map(count, dx, [=] __device__(int i) {
    return static_cast<T>(y[i]) / static_cast<T>(x[i]) * static_cast<T>(dy[i]);
  });
}

// dx_b = dy times all x but x_b
template <typename T, typename S>
void MultiplyOthers(int count, const vector<const S*>& bottoms, int b, const S* dy,
                    S* dx) {
  const DeviceList<const S*> list(bottoms);
  const auto x = list.view();
  Map(count, dx, [=] __device__(int i) {
    T product = static_cast<T>(dy[i]);
    for (int other = 0; other < x.size(); ++other) {
      if (other != b) product *= static_cast<T>(x[other][i]);
    }
    return product;
  });
}

// dx_b = dy where x_b is the largest, else 0
template <typename T, typename S>
void GiveToWinners(int count, const vector<const S*>& bottoms, const S* dy,
                   const vector<Gradient<T, S>>& gradients) {
  const DeviceList<const S*> inputs(bottoms);
  const DeviceList<Gradient<T, S>> outputs(gradients);
  const auto x = inputs.view();
  const auto g = outputs.view();
  // What the winner gets takes the place of its value.
  ForEach<Winner<T>>(
      count,
      [=] __device__(int i) {
        return Winner<T>{WinnerAt<T>(x, i).bottom, static_cast<T>(dy[i])};
      },
      [=] __device__(int i, Winner<T> winner) {
        for (int k = 0; k < g.size(); ++k) {
          g[k].dx[i] = static_cast<S>(g[k].index == winner.bottom ? winner.value : T(0));
        }
      });
}

}  // namespace

template <typename Dtype>
void EltwiseLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const DeviceFormat format = CommonFormat(DeviceDataOf(bottom));
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    vector<const S*> x(bottom.size());
    S* y = nullptr;
    for (size_t b = 0; b < bottom.size(); ++b) {
      if (bottom[b] == top[0]) {
        y = static_cast<S*>(DeviceDataOf(top[0]).ModifyAs(format));
      }
      x[b] = bottom[b] == top[0] ? y : ReadElements<S>(DeviceDataOf(bottom[b]), format);
    }
    if (!y) y = WriteElements<S>(DeviceDataOf(top[0]), format);
    const int count = top[0]->count();
    if (op_ == EltwiseParameter_EltwiseOp_SUM) {
      vector<Summand<Dtype, S>> summands;
      for (size_t b = 0; b < x.size(); ++b) summands.push_back({coeffs_[b], x[b]});
      WeightedSum(count, summands, y);
    } else if (op_ == EltwiseParameter_EltwiseOp_PROD) {
      MultiplyAll<Dtype>(count, x, y);
    } else {
      LargestOf<Dtype>(count, x, y);
    }
  });
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  const DeviceTensor<Dtype> from = DeviceDiffOf(top[0]);
  const DeviceFormat format = from.format();
  WithElement<Dtype>(format.type, [&]<typename S>(S) {
    const bool sum = op_ == EltwiseParameter_EltwiseOp_SUM;
    vector<const S*> x(bottom.size());
    for (size_t b = 0; b < bottom.size() && !sum; ++b) {
      x[b] = ReadElements<S>(DeviceDataOf(bottom[b]), format);
    }
    const S* dy = ReadElements<S>(from, format);
    vector<Gradient<Dtype, S>> gradients;
    for (size_t b = 0; b < bottom.size(); ++b) {
      // In place, dy itself is dx of that bottom, and may be so already.
      if (!propagate_down[b] || (bottom[b] == top[0] && coeffs_[b] == 1)) continue;
      S* dx = WriteElementsFrom<S>(from, DeviceDiffOf(bottom[b]), format);
      gradients.push_back({static_cast<int>(b), coeffs_[b], dx});
    }
    const int count = top[0]->count();
    if (sum) return ShareOut(count, dy, gradients);
    if (op_ == EltwiseParameter_EltwiseOp_MAX) {
      return GiveToWinners(count, x, dy, gradients);
    }
    const S* y =
        stable_prod_grad_ ? nullptr : ReadElements<S>(DeviceDataOf(top[0]), format);
    for (const Gradient<Dtype, S>& g : gradients) {
      if (stable_prod_grad_) {
        MultiplyOthers<Dtype>(count, x, g.index, dy, g.dx);
      } else {
        DivideOut<Dtype>(count, x[g.index], y, dy, g.dx);
      }
    }
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(EltwiseLayer);

}  // namespace caffe
