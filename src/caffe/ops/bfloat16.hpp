#ifndef CAFFE_OPS_BFLOAT16_HPP_
#define CAFFE_OPS_BFLOAT16_HPP_

#include <cstdint>

namespace caffe {

/// The upper half of a float32: its sign and exponent, 7 bits of its fraction.
using Bfloat16 = std::uint16_t;

/// Rounds to the nearest, ties to even, as the conversions of CPUs and PyTorch do; what
/// lies half a step above the largest finite value becomes infinite, NaN stays NaN.
void ToBfloat16(const float* from, std::int64_t count, Bfloat16* to);

}  // namespace caffe

#endif  // CAFFE_OPS_BFLOAT16_HPP_
