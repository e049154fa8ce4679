// A build without GPUs has no memories of theirs to take means of.

#include "caffe/common.hpp"
#include "caffe/parallel/device_mean.hpp"

namespace caffe {

std::unique_ptr<DeviceMean> DeviceMean::Make(ProcessGroup*) { return nullptr; }
bool DeviceMean::Supported() { return false; }

}  // namespace caffe
