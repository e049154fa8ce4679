#ifndef CAFFE_NET_FUSION_HPP_
#define CAFFE_NET_FUSION_HPP_

#include <memory>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/net/inference_plan.hpp"

namespace caffe {

/// Layers of a net that one operation can do.
template <typename Dtype>
struct Fusion {
  /// Their indices in the order of the net; the operation runs in the last one's place.
  vector<int> layers;
  /// Blobs that it reads and the one it writes; all others between them are skipped.
  vector<int> reads;
  int writes = -1;
  std::unique_ptr<InferenceStep<Dtype>> operation;
};

/// The fusion that begins with layer `first`, or one without layers. `taken` layers
/// belong to others; `memory_roots` as for InferencePlan.
///
/// Known are: Convolution, then layers with ChannelAffine(), a sum with one other blob,
/// ReLU; Eltwise SUM, then global average pooling; Scale by a second bottom, then Axpy.
template <typename Dtype>
Fusion<Dtype> FindFusion(const Net<Dtype>& net, int first, const vector<bool>& taken,
                         const vector<int>& memory_roots);

}  // namespace caffe

#endif  // CAFFE_NET_FUSION_HPP_
