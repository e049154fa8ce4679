#ifndef CAFFE_GPU_CUDNN_DESCRIPTORS_HPP_
#define CAFFE_GPU_CUDNN_DESCRIPTORS_HPP_

#include <vector>

#include "caffe/common.hpp"
#include "caffe/gpu/owned.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/util/cudnn.hpp"

namespace caffe {
namespace cudnn {

using TensorDescriptor = Owned<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
using FilterDescriptor = Owned<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor =
    Owned<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor>;
using ActivationDescriptor =
    Owned<cudnnActivationDescriptor_t, cudnnDestroyActivationDescriptor>;

/// A new descriptor of this type.
template <typename Descriptor, typename Handle>
Descriptor Make(cudnnStatus_t (*create)(Handle*)) {
  Handle made = nullptr;
  CUDNN_CHECK(create(&made));
  return Descriptor(made);
}

/// Of a dense array (N, C, spatial...), at least four axes.
inline TensorDescriptor MakeTensor(cudnnDataType_t type, DeviceLayout layout,
                                   const std::vector<int>& shape) {
  auto tensor = Make<TensorDescriptor>(cudnnCreateTensorDescriptor);
  const int axes = static_cast<int>(shape.size());
  std::vector<int> strides(axes);
  const bool channels_last = layout == DeviceLayout::kChannelsLast;
  int step = channels_last ? shape[1] : 1;
  for (int axis = axes - 1; axis > 1; --axis) {
    strides[axis] = step;
    step *= shape[axis];
  }
  strides[1] = channels_last ? 1 : step;
  strides[0] = channels_last ? step : step * shape[1];
  CUDNN_CHECK(
      cudnnSetTensorNdDescriptor(tensor.get(), type, axes, shape.data(), strides.data()));
  return tensor;
}

/// Of weights (K, C / group, kernel...), at least four axes.
inline FilterDescriptor MakeFilter(cudnnDataType_t type, DeviceLayout layout,
                                   const std::vector<int>& shape) {
  auto filter = Make<FilterDescriptor>(cudnnCreateFilterDescriptor);
  const cudnnTensorFormat_t format =
      layout == DeviceLayout::kPlain ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC;
  CUDNN_CHECK(cudnnSetFilterNdDescriptor(filter.get(), type, format,
                                         static_cast<int>(shape.size()), shape.data()));
  return filter;
}

}  // namespace cudnn
}  // namespace caffe

#endif  // CAFFE_GPU_CUDNN_DESCRIPTORS_HPP_
