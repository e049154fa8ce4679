// The updates of solvers on a GPU, in a build that has none.

#include "caffe/solvers/device_update.hpp"

namespace caffe {

template <typename Dtype, typename Rule>
void ApplyOnDevice(const std::vector<DeviceUpdate<Dtype, Rule>>&) {
  NO_GPU;
}

template <typename Dtype>
double SumOfSquaresOnDevice(const std::vector<DeviceArray<Dtype>>&) {
  NO_GPU;
}

INSTANTIATE_DEVICE_UPDATES(float);
INSTANTIATE_DEVICE_UPDATES(double);

}  // namespace caffe
