#ifndef CAFFE_LAYERS_REDUCTION_FUNCTORS_HPP_
#define CAFFE_LAYERS_REDUCTION_FUNCTORS_HPP_

#include <cmath>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// What Reduction adds up, for CPU and GPU alike: Value is what an element contributes,
// Gradient what it gets of the gradient d of the sum.

struct SumOfValues {
  static constexpr bool kNeedsInput = false;  ///< for Gradient
  CAFFE_HOST_DEVICE double Value(double x) const { return x; }
  template <typename T>
  CAFFE_HOST_DEVICE T Gradient(T /*x*/, T d) const {
    return d;
  }
};

struct SumOfMagnitudes {
  static constexpr bool kNeedsInput = true;
  CAFFE_HOST_DEVICE double Value(double x) const { return std::fabs(x); }
  template <typename T>
  CAFFE_HOST_DEVICE T Gradient(T x, T d) const {
    return static_cast<T>((T(0) < x) - (x < T(0))) * d;
  }
};

struct SumOfSquares {
  static constexpr bool kNeedsInput = true;
  CAFFE_HOST_DEVICE double Value(double x) const { return x * x; }
  template <typename T>
  CAFFE_HOST_DEVICE T Gradient(T x, T d) const {
    return 2 * x * d;
  }
};

/// Calls f with the functor of an operation.
template <typename F>
void WithReduction(ReductionParameter_ReductionOp operation, const F& f) {
  switch (operation) {
    case ReductionParameter_ReductionOp_SUM:
    case ReductionParameter_ReductionOp_MEAN:
      return f(SumOfValues());
    case ReductionParameter_ReductionOp_ASUM:
      return f(SumOfMagnitudes());
    case ReductionParameter_ReductionOp_SUMSQ:
      return f(SumOfSquares());
  }
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_REDUCTION_FUNCTORS_HPP_
