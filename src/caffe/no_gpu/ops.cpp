// Operations that a fused step or a data layer runs on a GPU, in a build that has none.

#include "caffe/gpu/convolution.hpp"
#include "caffe/ops/branches.hpp"
#include "caffe/ops/finish_pixels.hpp"

namespace caffe {

bool IsOnDevice(const PackedTensor*) { return false; }
template <typename T>
void FinishPixelsOnDevice(int, const PixelFinish<T>&, T*) {
  NO_GPU;
}
template void FinishPixelsOnDevice(int, const PixelFinish<float>&, float*);
template void FinishPixelsOnDevice(int, const PixelFinish<double>&, double*);

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
