#include "caffe/layers/eltwise_layer.hpp"

#include <algorithm>
#include <cstdint>

#include "caffe/layers/eltwise_functors.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {
namespace {

// Elements worked on at a time: all bottoms' parts of a row stay in the L1 cache, so
// any number of bottoms takes one pass over memory.
constexpr std::int64_t kRow = 1024;

// Calls body(first element, length) for rows that cover 0..count, in parallel.
template <typename Body>
void ForEachRow(std::int64_t count, const Body& body) {
  ParallelChunks(count, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i += kRow) body(i, std::min(kRow, end - i));
  });
}

// row = x * factor, or row op= x.
template <typename T, typename Op>
void Combine(const T* x, std::int64_t n, T* row, const Op& op) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) row[i] = op(row[i], x[i]);
}

// Which bottom is the largest at each place; as Dtype, so that values and indices
// fill vector registers alike.
template <typename T>
void FindWinners(const vector<const T*>& x, std::int64_t first, std::int64_t n,
                 T* winners) {
  T largest[kRow];
  std::copy_n(x[0] + first, n, largest);
  std::fill_n(winners, n, T(0));
  for (size_t b = 1; b < x.size(); ++b) {
    const T* candidate = x[b] + first;
    const T index = static_cast<T>(b);
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const bool wins = Wins(static_cast<int>(b), candidate[i], largest[i]);
      winners[i] = wins ? index : winners[i];
      largest[i] = wins ? candidate[i] : largest[i];
    }
  }
}

}  // namespace

template <typename Dtype>
void EltwiseLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                     const vector<Blob<Dtype>*>& /*top*/) {
  const EltwiseParameter& param = this->layer_param_.eltwise_param();
  op_ = param.operation();
  const int coeffs = param.coeff_size();
  if (coeffs != 0 && coeffs != static_cast<int>(bottom.size())) {
    throw ValueError(Str(coeffs, " coeff value(s), expected ", bottom.size(),
                         ", one for every bottom, or none"));
  }
  if (coeffs != 0 && op_ != EltwiseParameter_EltwiseOp_SUM) {
    throw ValueError(Str("coeff values with operation ",
                         EltwiseParameter_EltwiseOp_Name(op_), "; only SUM takes them"));
  }
  coeffs_.assign(bottom.size(), Dtype(1));
  for (int i = 0; i < coeffs; ++i) coeffs_[i] = param.coeff(i);
  stable_prod_grad_ = param.stable_prod_grad();
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  for (size_t i = 1; i < bottom.size(); ++i) {
    if (bottom[i]->shape() == bottom[0]->shape()) continue;
    throw ValueError(Str(NameOfBottom(this->layer_param_, i), ": shape ",
                         ShapeText(bottom[i]->shape()), ", expected ",
                         ShapeText(bottom[0]->shape()), " like bottom[0]"));
  }
  top[0]->ReshapeLike(*bottom[0]);
}

template <typename Dtype>
LayerTraits EltwiseLayer<Dtype>::Traits() const {
  const bool sums = op_ == EltwiseParameter_EltwiseOp_SUM;
  const bool divides = op_ == EltwiseParameter_EltwiseOp_PROD && !stable_prod_grad_;
  return {.of = &typeid(EltwiseLayer),
          .in_place = {sums ? InPlace::kChanges : InPlace::kRefused},
          .bottom_use = {sums ? DataUse::kNone : DataUse::kRead},
          .top_use = {divides ? DataUse::kRead : DataUse::kNone},
          .can_recompute = true,
          .device_only = true};
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                      const vector<Blob<Dtype>*>& top) {
  const int block = CommonBlock(DataOf(bottom));
  vector<const Dtype*> x(bottom.size());
  Dtype* y = nullptr;
  for (size_t b = 0; b < bottom.size(); ++b) {
    if (bottom[b] == top[0]) y = DataOf(top[0]).Modify(block);
    x[b] = bottom[b] == top[0] ? y : DataOf(bottom[b]).Read(block);
  }
  if (!y) y = DataOf(top[0]).Write(block);

  ForEachRow(top[0]->count(), [&](std::int64_t first, std::int64_t n) {
    Dtype row[kRow];
    switch (op_) {
      case EltwiseParameter_EltwiseOp_SUM: {
        const Dtype c0 = coeffs_[0], c1 = coeffs_[1];
        const Dtype* x0 = x[0] + first;
        const Dtype* x1 = x[1] + first;
        if (x.size() == 2) {
#pragma omp simd
          for (std::int64_t i = 0; i < n; ++i) y[first + i] = c0 * x0[i] + c1 * x1[i];
          return;
        }
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) row[i] = c0 * x0[i] + c1 * x1[i];
        for (size_t b = 2; b < x.size(); ++b) {
          const Dtype c = coeffs_[b];
          Combine(x[b] + first, n, row, [c](Dtype sum, Dtype v) { return sum + c * v; });
        }
        break;
      }
      case EltwiseParameter_EltwiseOp_PROD:
        std::copy_n(x[0] + first, n, row);
        for (size_t b = 1; b < x.size(); ++b) {
          Combine(x[b] + first, n, row,
                  [](Dtype product, Dtype v) { return product * v; });
        }
        break;
      case EltwiseParameter_EltwiseOp_MAX:
        std::copy_n(x[0] + first, n, row);
        for (size_t b = 1; b < x.size(); ++b) {
          Combine(x[b] + first, n, row, [b](Dtype largest, Dtype v) {
            return Wins(static_cast<int>(b), v, largest) ? v : largest;
          });
        }
        break;
    }
    std::copy_n(row, n, y + first);
  });
}

template <typename Dtype>
void EltwiseLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                       const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  const int block = DiffOf(top[0]).block();
  const size_t bottoms = bottom.size();
  const bool sum = op_ == EltwiseParameter_EltwiseOp_SUM;
  vector<const Dtype*> x(bottoms);
  for (size_t b = 0; b < bottoms && !sum; ++b) x[b] = DataOf(bottom[b]).Read(block);
  const bool divides = op_ == EltwiseParameter_EltwiseOp_PROD && !stable_prod_grad_;
  const Dtype* y = divides ? DataOf(top[0]).Read(block) : nullptr;
  const Dtype* dy = DiffOf(top[0]).Read(block);
  vector<Dtype*> dx(bottoms, nullptr);
  // The bottom that is the top, whose diff must be read before it is written.
  size_t shared = bottoms;
  for (size_t b = 0; b < bottoms; ++b) {
    if (bottom[b] == top[0]) {
      shared = b;
    } else if (propagate_down[b]) {
      dx[b] = DiffOf(bottom[b]).Write(block);
    }
  }
  Dtype* in_place = nullptr;
  if (shared < bottoms && propagate_down[shared] && coeffs_[shared] != 1) {
    dy = in_place = DiffOf(bottom[shared]).Modify(block);
  }

  ForEachRow(top[0]->count(), [&](std::int64_t first, std::int64_t n) {
    const Dtype* d = dy + first;
    Dtype winners[kRow];
    if (op_ == EltwiseParameter_EltwiseOp_MAX) FindWinners(x, first, n, winners);
    for (size_t b = 0; b < bottoms; ++b) {
      if (!dx[b]) continue;
      Dtype* out = dx[b] + first;
      if (sum) {
        const Dtype c = coeffs_[b];
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) out[i] = c * d[i];
      } else if (divides) {
        const Dtype* own = x[b] + first;
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i) out[i] = y[first + i] / own[i] * d[i];
      } else if (op_ == EltwiseParameter_EltwiseOp_PROD) {
        std::copy_n(d, n, out);
        for (size_t other = 0; other < bottoms; ++other) {
          if (other == b) continue;
          Combine(x[other] + first, n, out, [](Dtype p, Dtype v) { return p * v; });
        }
      } else {
        const Dtype winner = static_cast<Dtype>(b);
#pragma omp simd
        for (std::int64_t i = 0; i < n; ++i)
          out[i] = winners[i] == winner ? d[i] : Dtype(0);
      }
    }
    if (in_place) {
      const Dtype c = coeffs_[shared];
      for (std::int64_t i = 0; i < n; ++i) in_place[first + i] *= c;
    }
  });
}

INSTANTIATE_CLASS(EltwiseLayer);
REGISTER_LAYER_CLASS(Eltwise);

}  // namespace caffe
