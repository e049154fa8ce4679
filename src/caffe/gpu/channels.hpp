#ifndef CAFFE_GPU_CHANNELS_HPP_
#define CAFFE_GPU_CHANNELS_HPP_

#include "caffe/gpu/tensor.hpp"
#include "caffe/ops/channel_shape.hpp"

namespace caffe {

// What is done per channel to dense arrays (num, channels, spatial) in device memory, in
// either layout. A matrix of `rows` x `columns` is (rows, columns, 1).

/// sums[c] += Σ x over num and spatial, added up in double and in one order: equal inputs
/// give equal bits.
template <typename T>
void AddChannelSums(DeviceLayout layout, ChannelShape shape, const T* x, T* sums);

/// y = relu(y + bias[c] + addend), less what is null or not asked for. The ReLU is the
/// layer's: NaN for NaN, and for -inf.
template <typename T>
void FinishChannels(DeviceLayout layout, ChannelShape shape, const T* bias,
                    const T* addend, bool relu, T* y);

/// plain += channels_last
template <typename T>
void AddToPlain(ChannelShape shape, const T* channels_last, T* plain);

}  // namespace caffe

#endif  // CAFFE_GPU_CHANNELS_HPP_
