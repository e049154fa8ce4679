// Operations that a fused step runs on a GPU, in a build that has none.

#include "caffe/gpu/convolution.hpp"
#include "caffe/ops/branches.hpp"

namespace caffe {

template <typename T>
void AverageOfSumOnDevice(const std::vector<Blob<T>*>&, Blob<T>*) {
  NO_GPU;
}
template <typename T>
void WeightedSumOnDevice(const Blob<T>&, const Blob<T>&, const Blob<T>&, const Blob<T>&,
                         Blob<T>*) {
  NO_GPU;
}
template <typename T>
std::unique_ptr<DeviceConvolution<T>> MakeDeviceConvolution(const ConvolutionProblem&) {
  NO_GPU;
}
template std::unique_ptr<DeviceConvolution<float>> MakeDeviceConvolution(
    const ConvolutionProblem&);
template std::unique_ptr<DeviceConvolution<double>> MakeDeviceConvolution(
    const ConvolutionProblem&);
INSTANTIATE_DEVICE_BRANCHES(float);
INSTANTIATE_DEVICE_BRANCHES(double);

}  // namespace caffe
