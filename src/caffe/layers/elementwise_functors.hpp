#ifndef CAFFE_LAYERS_ELEMENTWISE_FUNCTORS_HPP_
#define CAFFE_LAYERS_ELEMENTWISE_FUNCTORS_HPP_

// The formulas of the layers with y = f(x) for every element, for CPU and GPU alike. A
// functor takes its parameters from the layer's and throws if they are wrong; Value is
// f(x) and Gradient is f'(x) dy. It is copied by value.

#include <cmath>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What a functor's Gradient(x, y, dy) goes by.
enum class GradientSource {
  kInput,   ///< x, perhaps y too; in place, the layer keeps a copy of the input
  kOutput,  ///< y alone: one array less to read, and in place needs no copy
  kSign,    ///< the sign of x, which y shares: x is the input or, in place, the output
};

template <typename Dtype>
struct AbsValFunctor {
  explicit AbsValFunctor(const LayerParameter& /*param*/) {}
  GradientSource Source() const { return GradientSource::kInput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const { return std::fabs(x); }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    return x > 0 ? dy : x < 0 ? -dy : Dtype(0);
  }
};

template <typename Dtype>
struct BNLLFunctor {
  explicit BNLLFunctor(const LayerParameter& /*param*/) {}
  GradientSource Source() const { return GradientSource::kOutput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    // The sum keeps NaN.
    return (x > 0 ? x : Dtype(0)) + std::log1p(std::exp(-std::fabs(x)));
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype /*x*/, Dtype y, Dtype dy) const {
    return dy * -std::expm1(-y);
  }
};

template <typename Dtype>
struct ClipFunctor {
  explicit ClipFunctor(const LayerParameter& param) {
    if (!param.has_clip_param()) {
      throw ValueError("clip_param is missing, expected its min and max");
    }
    least = param.clip_param().min();
    most = param.clip_param().max();
    if (!(least <= most)) {
      throw ValueError(Str("clip_param.min is ", least, ", expected at most max, ", most,
                           "; exchange the two"));
    }
  }
  GradientSource Source() const { return GradientSource::kInput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    return x < least ? least : x > most ? most : x;
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    return x >= least && x <= most ? dy : Dtype(0);
  }
  Dtype least, most;
};

template <typename Dtype>
struct ELUFunctor {
  explicit ELUFunctor(const LayerParameter& param) { alpha = param.elu_param().alpha(); }
  // With a negative alpha the output is positive on both sides of 0; otherwise its
  // sign is that of the input, and x is y.
  GradientSource Source() const {
    return alpha < 0 ? GradientSource::kInput : GradientSource::kOutput;
  }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    // The call is not in a branch, so that loops over it can be vectorised.
    const Dtype negative = alpha * std::expm1(x > 0 ? Dtype(0) : x);
    return x > 0 ? x : negative;
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype y, Dtype dy) const {
    return dy * (x > 0 ? Dtype(1) : y + alpha);
  }
  Dtype alpha;
};

template <typename Dtype>
struct ExpFunctor {
  explicit ExpFunctor(const LayerParameter& param) {
    const ExpParameter& exp_param = param.exp_param();
    const double base = exp_param.base();
    if (base != -1 && !(base > 0)) {
      throw ValueError(
          Str("exp_param.base is ", base, ", expected a positive number, or -1 for e"));
    }
    const double log_base = base == -1 ? 1 : std::log(base);
    scale = static_cast<Dtype>(log_base * exp_param.scale());
    shift = static_cast<Dtype>(log_base * exp_param.shift());
  }
  GradientSource Source() const { return GradientSource::kOutput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const { return std::exp(shift + scale * x); }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype /*x*/, Dtype y, Dtype dy) const {
    return dy * y * scale;
  }
  Dtype scale, shift;  ///< of x in the exponent of e
};

template <typename Dtype>
struct LogFunctor {
  explicit LogFunctor(const LayerParameter& param) {
    const LogParameter& log_param = param.log_param();
    const double base = log_param.base();
    if (base != -1 && (!(base > 0) || base == 1)) {
      throw ValueError(Str("log_param.base is ", base,
                           ", expected a positive number other than 1, or -1 for e"));
    }
    factor = static_cast<Dtype>(base == -1 ? 1 : 1 / std::log(base));
    scale = log_param.scale();
    shift = log_param.shift();
  }
  GradientSource Source() const { return GradientSource::kInput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    return factor * std::log(shift + scale * x);
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    return dy * factor * scale / (shift + scale * x);
  }
  Dtype factor;  ///< 1 / ln(base)
  Dtype scale, shift;
};

template <typename Dtype>
struct PowerFunctor {
  explicit PowerFunctor(const LayerParameter& param) {
    power = param.power_param().power();
    scale = param.power_param().scale();
    shift = param.power_param().shift();
  }
  GradientSource Source() const {
    const bool constant_slope = power == 1 || power * scale == 0;
    return constant_slope ? GradientSource::kOutput : GradientSource::kInput;
  }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    const Dtype base = shift + scale * x;
    return power == 1 ? base : power == 2 ? base * base : std::pow(base, power);
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    const Dtype factor = power * scale;
    if (factor == 0) return 0;  // not 0 * inf at a base of 0
    if (power == 1) return factor * dy;
    const Dtype base = shift + scale * x;
    return factor * dy * (power == 2 ? base : std::pow(base, power - 1));
  }
  Dtype power, scale, shift;
};

template <typename Dtype>
struct ReLUFunctor {
  explicit ReLUFunctor(const LayerParameter& param) {
    slope = param.relu_param().negative_slope();
  }
  GradientSource Source() const {
    return slope < 0 ? GradientSource::kInput : GradientSource::kSign;
  }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    return (x > 0 ? x : Dtype(0)) + slope * (x > 0 ? Dtype(0) : x);
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype /*y*/, Dtype dy) const {
    return dy * (x > 0 ? Dtype(1) : slope);
  }
  Dtype slope;
};

template <typename Dtype>
struct SigmoidFunctor {
  explicit SigmoidFunctor(const LayerParameter& /*param*/) {}
  GradientSource Source() const { return GradientSource::kOutput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    return Dtype(0.5) * std::tanh(Dtype(0.5) * x) + Dtype(0.5);
  }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype /*x*/, Dtype y, Dtype dy) const {
    return dy * y * (1 - y);
  }
};

template <typename Dtype>
struct SwishFunctor {
  explicit SwishFunctor(const LayerParameter& param) {
    beta = param.swish_param().beta();
  }
  GradientSource Source() const { return GradientSource::kInput; }
  CAFFE_HOST_DEVICE Dtype Gate(Dtype x) const { return 1 / (1 + std::exp(-beta * x)); }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const { return x * Gate(x); }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype x, Dtype y, Dtype dy) const {
    return dy * (beta * y + Gate(x) * (1 - beta * y));
  }
  Dtype beta;
};

template <typename Dtype>
struct TanHFunctor {
  explicit TanHFunctor(const LayerParameter& /*param*/) {}
  GradientSource Source() const { return GradientSource::kOutput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const { return std::tanh(x); }
  CAFFE_HOST_DEVICE Dtype Gradient(Dtype /*x*/, Dtype y, Dtype dy) const {
    return dy * (1 - y * y);
  }
};

/// Without a gradient.
template <typename Dtype>
struct ThresholdFunctor {
  GradientSource Source() const { return GradientSource::kOutput; }
  CAFFE_HOST_DEVICE Dtype Value(Dtype x) const {
    return x > threshold ? Dtype(1) : Dtype(0);
  }
  Dtype threshold;
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_ELEMENTWISE_FUNCTORS_HPP_
