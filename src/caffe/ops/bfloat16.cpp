#include "caffe/ops/bfloat16.hpp"

#include <bit>

namespace caffe {

void ToBfloat16(const float* from, std::int64_t count, Bfloat16* to) {
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(from[i]);
    const std::uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
    const bool nan = (bits & 0x7fffffff) > 0x7f800000;
    // A NaN may have no bit in its upper half: the quiet one is set.
    to[i] = static_cast<Bfloat16>((nan ? bits | 0x400000 : rounded) >> 16);
  }
}

}  // namespace caffe
