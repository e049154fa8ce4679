#ifndef CAFFE_UTIL_INSERT_SPLITS_HPP_
#define CAFFE_UTIL_INSERT_SPLITS_HPP_

#include <string>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Copies `param` to `param_split` with a Split layer behind every blob that more
/// than one bottom reads (a loss weight on a blob counts as a reader), so that
/// gradients add up. Names follow Caffe: data_input_0_split, data_input_0_split_1.
void InsertSplits(const NetParameter& param, NetParameter* param_split);

void ConfigureSplitLayer(const std::string& layer_name, const std::string& blob_name,
                         const int blob_idx, const int split_count,
                         const float loss_weight, LayerParameter* split_layer_param);
std::string SplitLayerName(const std::string& layer_name, const std::string& blob_name,
                           const int blob_idx);
std::string SplitBlobName(const std::string& layer_name, const std::string& blob_name,
                          const int blob_idx, const int split_idx);

}  // namespace caffe

#endif  // CAFFE_UTIL_INSERT_SPLITS_HPP_
