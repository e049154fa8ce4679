#ifndef CAFFE_GPU_CHANNELS_HPP_
#define CAFFE_GPU_CHANNELS_HPP_

#include "caffe/gpu/tensor.hpp"
#include "caffe/ops/channel_shape.hpp"

namespace caffe {

// What is done per channel to dense arrays (num, channels, spatial) in device memory, in
// either layout. A matrix of `rows` x `columns` is (rows, columns, 1).

/// sums[c] += Σ x over num and spatial, added up in double and in one order: equal inputs
/// give equal bits. x has elements as `format` says.
template <typename T>
void AddChannelSums(DeviceFormat format, ChannelShape shape, const void* x, T* sums);
template <typename T>
void AddChannelSums(DeviceLayout layout, ChannelShape shape, const T* x, T* sums) {
  AddChannelSums<T>(DeviceFormat{layout}, shape, static_cast<const void*>(x), sums);
}

/// y = relu(y + bias[c] + addend), less what is null or not asked for. The ReLU is the
/// layer's: NaN for NaN, and for -inf. addend and y have elements as `format` says.
template <typename T>
void FinishChannels(DeviceFormat format, ChannelShape shape, const T* bias,
                    const void* addend, bool relu, void* y);
template <typename T>
void FinishChannels(DeviceLayout layout, ChannelShape shape, const T* bias,
                    const T* addend, bool relu, T* y) {
  FinishChannels<T>(DeviceFormat{layout}, shape, bias, static_cast<const void*>(addend),
                    relu, static_cast<void*>(y));
}

/// plain += channels_last, whose elements are of this type.
template <typename T>
void AddToPlain(ChannelShape shape, DeviceType type, const void* channels_last, T* plain);

}  // namespace caffe

#endif  // CAFFE_GPU_CHANNELS_HPP_
