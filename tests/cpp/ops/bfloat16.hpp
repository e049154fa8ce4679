#ifndef CAFFE_TESTS_OPS_BFLOAT16_HPP_
#define CAFFE_TESTS_OPS_BFLOAT16_HPP_

#include <algorithm>
#include <cmath>

namespace caffe {
namespace test {

/// The nearest number with 8 bits of precision and the exponents of float32, of two
/// equally near ones the even; by arithmetic instead of bits.
inline double RoundedToBfloat16(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent;
  std::frexp(value, &exponent);  // |value| = f 2^exponent, 1/2 <= f < 1
  const double step = std::ldexp(1.0, std::max(exponent - 8, -133));
  const double rounded = std::nearbyint(value / step) * step;
  return std::fabs(rounded) < std::ldexp(1.0, 128) ? rounded
                                                   : std::copysign(INFINITY, rounded);
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_OPS_BFLOAT16_HPP_
