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

// Which axis has the channels matters to the layouts alone: their channels are axis 1.
template <typename T>
DeviceFormat FormatAround(DeviceTensor<T> tensor, int channel_axis) {
  return channel_axis == 1 ? tensor.format() : DeviceFormat();
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
  const DeviceFormat format = FormatAround(dst, channel_axis);
  FinishChannels<T>(format, ShapeAround(dst.shape(), channel_axis), bias, nullptr, false,
                    dst.ModifyAs(format));
}

template <typename T>
void DeviceConvolutionBackwardBias(DeviceTensor<T> diff_dst, int channel_axis,
                                   T* diff_bias) {
  const DeviceFormat format = FormatAround(diff_dst, channel_axis);
  AddChannelSums(format, ShapeAround(diff_dst.shape(), channel_axis),
                 diff_dst.ReadAs(format), diff_bias);
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
