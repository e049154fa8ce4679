#ifndef CAFFE_OPS_BFLOAT16_HPP_
#define CAFFE_OPS_BFLOAT16_HPP_

#include <bit>
#include <cstdint>

#include "caffe/ops/lanes.hpp"

namespace caffe {

/// The upper half of a float32: its sign and exponent, 7 bits of its fraction.
using Bfloat16 = std::uint16_t;

/// Rounds to the nearest, ties to even, as the conversions of CPUs and PyTorch do; what
/// lies half a step above the largest finite value becomes infinite, NaN stays NaN.
inline Bfloat16 ToBfloat16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const bool nan = (bits & 0x7fffffff) > 0x7f800000;
  // A NaN may have no bit in its upper half: the quiet one is set.
  return static_cast<Bfloat16>((nan ? bits | 0x400000 : rounded) >> 16);
}

inline float FromBfloat16(Bfloat16 value) {
  return std::bit_cast<float>(std::uint32_t{value} << 16);
}

/// Many at once, in parallel.
void ToBfloat16(const float* from, std::int64_t count, Bfloat16* to);

/// Neighbouring values that kernels load and store as float32: the conversions of above.
constexpr int kBfloat16Lanes = 16;
using Bfloat16Lanes = LanesOf<float, kBfloat16Lanes>;

inline Bfloat16Lanes LoadBfloat16(const Bfloat16* from) {
  using Words = LanesOf<std::uint32_t, kBfloat16Lanes>;
  const Words words = __builtin_convertvector(Load<kBfloat16Lanes>(from), Words) << 16;
  return std::bit_cast<Bfloat16Lanes>(words);
}

inline void StoreBfloat16(Bfloat16* to, Bfloat16Lanes value) {
  using Words = LanesOf<std::uint32_t, kBfloat16Lanes>;
  const Words bits = std::bit_cast<Words>(value);
  const Words rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const Words kept = (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded;
  Store<kBfloat16Lanes>(
      to, __builtin_convertvector(kept >> 16, LanesOf<Bfloat16, kBfloat16Lanes>));
}

}  // namespace caffe

#endif  // CAFFE_OPS_BFLOAT16_HPP_
