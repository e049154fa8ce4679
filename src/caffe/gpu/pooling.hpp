#ifndef CAFFE_GPU_POOLING_HPP_
#define CAFFE_GPU_POOLING_HPP_

#include "caffe/gpu/tensor.hpp"
#include "caffe/ops/pooling.hpp"

namespace caffe {

// ops/pooling.hpp in device memory. Results are in the format that is given, to which the
// inputs are converted if they are not in it. Sums are of T and in one order: equal
// inputs give equal bits.

/// `mask` receives the places of the largest values, as int in the same layout.
template <typename T>
void DeviceMaxPool(const PoolingProblem& problem, DeviceFormat format,
                   DeviceTensor<T> src, DeviceTensor<T> dst, DeviceTensor<int> mask);
template <typename T>
void DeviceMaxPoolBackward(const PoolingProblem& problem, DeviceFormat format,
                           DeviceTensor<T> diff_dst, DeviceTensor<int> mask,
                           DeviceTensor<T> diff_src);
/// The places as numbers of type T.
template <typename T>
void DeviceMaskValues(DeviceLayout layout, DeviceTensor<int> mask, DeviceTensor<T> dst);

template <typename T>
void DeviceAveragePool(const PoolingProblem& problem, DeviceFormat format,
                       DeviceTensor<T> src, DeviceTensor<T> dst);
template <typename T>
void DeviceAveragePoolBackward(const PoolingProblem& problem, DeviceFormat format,
                               DeviceTensor<T> diff_dst, DeviceTensor<T> diff_src);

}  // namespace caffe

#endif  // CAFFE_GPU_POOLING_HPP_
