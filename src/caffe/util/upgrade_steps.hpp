#ifndef CAFFE_UTIL_UPGRADE_STEPS_HPP_
#define CAFFE_UTIL_UPGRADE_STEPS_HPP_

#include <functional>
#include <string>
#include <utility>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Logs each `layer` that has crop_size and the like in its data_param. Caffe moves
/// these for old `layers` and ignores them here.
void WarnOfIgnoredTransformations(const NetParameter& net_param);

/// Whether a layer has a field under a number that means something else here, and for
/// which this schema has another.
bool HasForeignNumbers(const NetParameter& net);

/// Gives fields of other Caffes' layers our numbers in the serialized layers of a net,
/// and cuts out a field 200 that is of none, without parsing any. False if there was
/// nothing to do, or the bytes are no net.
bool RenumberForeignFields(std::string* net_bytes);

/// Reads a caffemodel as it is, but for fields of other forks, which are renumbered or
/// left out. True if there were such.
bool ReadStoredNet(const std::string& param_file, NetParameter* param);

/// Splits every batch norm that a fork wrote with its scale and bias into a BatchNorm and
/// the Scale layer `<name>/scale` behind it, which compute the same. Done when a net is
/// built: definitions keep the fork's form.
void SplitScaledBatchNorms(NetParameter* net_param);

/// What a net has under a layer's name: the type and the number of blobs, 0 if nothing.
using FindBlobs = std::function<std::pair<std::string, int>(const std::string& layer)>;

/// Splits the stored batch norms of `weights` for which the net has both layers. Throws
/// ValueError with the command that converts the file for one of another form than the
/// net's.
void SplitStoredBatchNorms(const std::string& file, const FindBlobs& net,
                           NetParameter* weights);

}  // namespace caffe

#endif  // CAFFE_UTIL_UPGRADE_STEPS_HPP_
