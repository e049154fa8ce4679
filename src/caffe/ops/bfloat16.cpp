#include "caffe/ops/bfloat16.hpp"

namespace caffe {

void ToBfloat16(const float* from, std::int64_t count, Bfloat16* to) {
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < count; ++i) to[i] = ToBfloat16(from[i]);
}

}  // namespace caffe
