#ifndef CAFFE_GPU_LRN_HPP_
#define CAFFE_GPU_LRN_HPP_

#include "caffe/gpu/tensor.hpp"
#include "caffe/ops/lrn.hpp"

namespace caffe {

// ops/lrn.hpp in device memory. Results are in the layout that is given, to which the
// inputs are converted if they are not in it.

/// scale = s and dst = src · s^-beta.
template <typename T>
void DeviceLrnForward(const LrnProblem& problem, DeviceLayout layout, DeviceTensor<T> src,
                      DeviceTensor<T> scale, DeviceTensor<T> dst);

template <typename T>
void DeviceLrnBackward(const LrnProblem& problem, DeviceLayout layout,
                       DeviceTensor<T> src, DeviceTensor<T> dst, DeviceTensor<T> scale,
                       DeviceTensor<T> diff_dst, DeviceTensor<T> diff_src);

}  // namespace caffe

#endif  // CAFFE_GPU_LRN_HPP_
