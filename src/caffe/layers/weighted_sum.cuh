#ifndef CAFFE_LAYERS_WEIGHTED_SUM_CUH_
#define CAFFE_LAYERS_WEIGHTED_SUM_CUH_

#include <vector>

#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/list.hpp"

namespace caffe {

template <typename T, typename S>
struct Summand {
  T factor;
  const S* values;

  __device__ T At(int i) const { return factor * static_cast<T>(values[i]); }
};

/// sum[i] = Σ_s factor_s values_s[i] over at least two summands, added up in their order.
/// `sum` may be one of them.
template <typename T, typename S>
void WeightedSum(int count, const std::vector<Summand<T, S>>& summands, S* sum) {
  const DeviceList<Summand<T, S>> list(summands);
  const auto s = list.view();
  Map(count, sum, [=] __device__(int i) {
    T total = s[0].At(i) + s[1].At(i);
    for (int k = 2; k < s.size(); ++k) total += s[k].At(i);
    return total;
  });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_WEIGHTED_SUM_CUH_
