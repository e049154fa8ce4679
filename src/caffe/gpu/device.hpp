#ifndef CAFFE_GPU_DEVICE_HPP_
#define CAFFE_GPU_DEVICE_HPP_

#include "caffe/common.hpp"

namespace caffe {
namespace device {

/// Starts a kernel that does nothing, which fails where this library has no code for the
/// selected device.
cudaError_t StartNothing();

}  // namespace device
}  // namespace caffe

#endif  // CAFFE_GPU_DEVICE_HPP_
