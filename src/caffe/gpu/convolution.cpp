#include "caffe/gpu/convolution.hpp"

#include <vector>

#include "caffe/gpu/channels.hpp"
#include "caffe/gpu/convolution/engines.hpp"

namespace caffe {
namespace {

ChannelShape ShapeAround(const std::vector<int>& shape, int channel_axis) {
  ChannelShape result = {1, shape[channel_axis], 1};
  for (int axis = 0; axis < channel_axis; ++axis) result.num *= shape[axis];
  for (size_t axis = channel_axis + 1; axis < shape.size(); ++axis) {
    result.spatial *= shape[axis];
  }
  return result;
}

}  // namespace

template <typename T>
const std::vector<Engine<DeviceConvolution<T>, ConvolutionProblem>>&
DeviceConvolutionEngines() {
  static const std::vector<Engine<DeviceConvolution<T>, ConvolutionProblem>> engines = {
      {"cudnn", MakeCudnnConvolution<T>},
      {kReferenceEngine, MakeUnfoldedDeviceConvolution<T>}};
  return engines;
}

template <typename T>
std::unique_ptr<DeviceConvolution<T>> MakeDeviceConvolution(
    const ConvolutionProblem& problem) {
  return SelectEngine(DeviceConvolutionEngines<T>(), problem);
}

template <typename T>
void DeviceConvolutionAddBias(DeviceTensor<T> dst, int channel_axis, const T* bias) {
  const DeviceLayout layout = dst.layout();
  FinishChannels<T>(layout, ShapeAround(dst.shape(), channel_axis), bias, nullptr, false,
                    dst.Modify(layout));
}

template <typename T>
void DeviceConvolutionBackwardBias(DeviceTensor<T> diff_dst, int channel_axis,
                                   T* diff_bias) {
  const DeviceLayout layout = diff_dst.layout();
  AddChannelSums(layout, ShapeAround(diff_dst.shape(), channel_axis),
                 diff_dst.Read(layout), diff_bias);
}

#define INSTANTIATE_CONVOLUTION(T)                                              \
  template const std::vector<Engine<DeviceConvolution<T>, ConvolutionProblem>>& \
  DeviceConvolutionEngines();                                                   \
  template std::unique_ptr<DeviceConvolution<T>> MakeDeviceConvolution(         \
      const ConvolutionProblem&);                                               \
  template void DeviceConvolutionAddBias(DeviceTensor<T>, int, const T*);       \
  template void DeviceConvolutionBackwardBias(DeviceTensor<T>, int, T*)
INSTANTIATE_CONVOLUTION(float);
INSTANTIATE_CONVOLUTION(double);

}  // namespace caffe
