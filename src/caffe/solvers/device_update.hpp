#ifndef CAFFE_SOLVERS_DEVICE_UPDATE_HPP_
#define CAFFE_SOLVERS_DEVICE_UPDATE_HPP_

#include <vector>

#include "caffe/solvers/update_rules.hpp"

namespace caffe {

/// The update of one parameter in device memory:
///     step = rule(i, terms(diff[i], data[i]));  diff[i] = step;  data[i] -= step
template <typename Dtype, typename Rule>
struct DeviceUpdate {
  Dtype* data;
  Dtype* diff;
  int count;
  GradientTerms<Dtype> terms;
  Rule rule;
};

/// Carries out all of them in one launch; for each rule of update_rules.hpp.
template <typename Dtype, typename Rule>
void ApplyOnDevice(const std::vector<DeviceUpdate<Dtype, Rule>>& updates);

/// An array in device memory.
template <typename Dtype>
struct DeviceArray {
  const Dtype* values;
  int count;
};

/// Sum of the squares of all values of all arrays, in double; the same for every run.
template <typename Dtype>
double SumOfSquaresOnDevice(const std::vector<DeviceArray<Dtype>>& arrays);

#define INSTANTIATE_DEVICE_UPDATE(Dtype, Rule) \
  template void ApplyOnDevice(const std::vector<DeviceUpdate<Dtype, Rule<Dtype>>>&)
/// All that is declared here: whoever defines it instantiates that.
#define INSTANTIATE_DEVICE_UPDATES(Dtype)         \
  INSTANTIATE_DEVICE_UPDATE(Dtype, MomentumRule); \
  INSTANTIATE_DEVICE_UPDATE(Dtype, NesterovRule); \
  INSTANTIATE_DEVICE_UPDATE(Dtype, AdaGradRule);  \
  INSTANTIATE_DEVICE_UPDATE(Dtype, RMSPropRule);  \
  INSTANTIATE_DEVICE_UPDATE(Dtype, AdaDeltaRule); \
  INSTANTIATE_DEVICE_UPDATE(Dtype, AdamRule);     \
  template double SumOfSquaresOnDevice(const std::vector<DeviceArray<Dtype>>&)

}  // namespace caffe

#endif  // CAFFE_SOLVERS_DEVICE_UPDATE_HPP_
