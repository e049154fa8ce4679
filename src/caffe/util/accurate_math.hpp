#ifndef CAFFE_UTIL_ACCURATE_MATH_HPP_
#define CAFFE_UTIL_ACCURATE_MATH_HPP_

// exp, log, pow and the sigmoid of float values with a relative error below 1e-6 over the
// whole range, for CPU and GPU alike. The functions themselves are good to a few ulp;
// what they are given is not: an argument that was rounded to float, as scale * x + shift
// is, moves exp by its size times the rounding error, and log and pow by as much where
// they are steep. So arguments come in two parts.
//
// In double, where references are computed, all is as it is written.

#include <cfloat>
#include <cmath>

#include "caffe/util/host_device.hpp"

namespace caffe {

/// A number as the sum of a T and what rounding it to T left.
template <typename T>
struct Split {
  T value, rest;
};

/// scale * x + shift
CAFFE_HOST_DEVICE inline Split<double> SplitAffine(double scale, double x, double shift) {
  return {scale * x + shift, 0};
}
CAFFE_HOST_DEVICE inline Split<float> SplitAffine(double scale, float x, double shift) {
  const double product = scale * x;
  const double sum = shift + product;
  // What the sum lost (Knuth, TAOCP 2, 4.2.2): all that is left of log(1 + x) at small x.
  const double of_product = sum - shift;
  const double lost = (shift - (sum - of_product)) + (product - of_product);
  const float value = static_cast<float>(sum);
  const bool is_finite = std::fabs(value) <= FLT_MAX;
  return {value, is_finite ? static_cast<float>((sum - value) + lost) : 0.0f};
}

/// x - y
CAFFE_HOST_DEVICE inline Split<double> SplitDifference(double x, double y) {
  return {x - y, 0};
}
CAFFE_HOST_DEVICE inline Split<float> SplitDifference(float x, float y) {
  return SplitAffine(1, x, -static_cast<double>(y));
}

template <typename T>
CAFFE_HOST_DEVICE inline T Exp(Split<T> x) {
  return std::exp(x.value) * (1 + x.rest);
}

/// rest / value, where that is no division by 0.
template <typename T>
CAFFE_HOST_DEVICE inline T RelativeRest(Split<T> x) {
  const bool divides = std::fabs(x.value) > static_cast<T>(FLT_MIN);
  return divides ? x.rest / (divides ? x.value : T(1)) : T(0);
}

template <typename T>
CAFFE_HOST_DEVICE inline T Log(Split<T> x) {
  return std::log(x.value) + RelativeRest(x);
}

template <typename T>
CAFFE_HOST_DEVICE inline T Pow(Split<T> x, T power) {
  return std::pow(x.value, power) * (1 + power * RelativeRest(x));
}

/// 1 / (1 + exp(-x)), which (tanh(x / 2) + 1) / 2 is only where that does not cancel.
template <typename T>
CAFFE_HOST_DEVICE inline T Sigmoid(T x) {
  const T e = std::exp(-std::fabs(x));
  const T larger = 1 / (1 + e);
  return x < 0 ? e * larger : larger;
}

}  // namespace caffe

#endif  // CAFFE_UTIL_ACCURATE_MATH_HPP_
