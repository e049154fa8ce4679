#ifndef CAFFE_PARALLEL_DEVICE_MEAN_HPP_
#define CAFFE_PARALLEL_DEVICE_MEAN_HPP_

#include <memory>

#include "caffe/parallel.hpp"

namespace caffe {

/// Means over a group whose processes have a GPU each, taken between their memories while
/// other work goes on there.
class DeviceMean {
 public:
  /// Collective. Null where the group has to go through host memory: it has one process,
  /// is in CPU mode, the build has no NCCL, NCCL cannot connect it, or two processes
  /// share a GPU.
  static std::unique_ptr<DeviceMean> Make(ProcessGroup* group);
  /// Whether the build has NCCL.
  static bool Supported();
  virtual ~DeviceMean() = default;

  /// Starts to put the mean over the group in place of `values`, device memory that what
  /// has been started on the device has written by then.
  virtual void Start(float* values, int count) = 0;
  virtual void Start(double* values, int count) = 0;
  /// What is started on the device from now on sees the means. Does not block.
  virtual void Finish() = 0;
};

}  // namespace caffe

#endif  // CAFFE_PARALLEL_DEVICE_MEAN_HPP_
