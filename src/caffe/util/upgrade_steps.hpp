#ifndef CAFFE_UTIL_UPGRADE_STEPS_HPP_
#define CAFFE_UTIL_UPGRADE_STEPS_HPP_

#include <string>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Logs each `layer` that has crop_size and the like in its data_param. Caffe moves
/// these for old `layers` and ignores them here.
void WarnOfIgnoredTransformations(const NetParameter& net_param);

/// Cuts field 200 out of the serialized layers of a net that are not CuDNNBatchNorm,
/// without parsing it. False if there was none, or the bytes are no net.
bool RemoveForeignFields(std::string* net_bytes);

}  // namespace caffe

#endif  // CAFFE_UTIL_UPGRADE_STEPS_HPP_
