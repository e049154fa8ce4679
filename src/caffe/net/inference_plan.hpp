#ifndef CAFFE_NET_INFERENCE_PLAN_HPP_
#define CAFFE_NET_INFERENCE_PLAN_HPP_

#include <memory>
#include <vector>

#include "caffe/host_memory.hpp"
#include "caffe/net.hpp"

namespace caffe {

/// One operation of an optimised net: a layer, or several in one pass.
template <typename Dtype>
class InferenceStep {
 public:
  virtual ~InferenceStep() = default;
  /// Reshapes and computes; returns the weighted loss.
  virtual Dtype Run() = 0;
};

/// How an optimised net runs forward; see Net::Optimize().
template <typename Dtype>
class InferencePlan {
 public:
  /// `memory_roots[b]` is the first blob whose memory blob b shares, b itself if none.
  InferencePlan(const Net<Dtype>& net, const vector<int>& memory_roots);

  int size() const { return static_cast<int>(steps_.size()); }
  /// The layer that step i ends with, for messages.
  int layer(int i) const { return steps_[i].layer; }
  /// Runs step i, then frees what no later step reads.
  Dtype Run(int i);
  /// After the last step: marks the blobs that were skipped, frees spare buffers.
  void Finish();

 private:
  struct Step {
    std::unique_ptr<InferenceStep<Dtype>> operation;
    int layer;
    vector<int> dead;  ///< blobs whose memory is free after this step
  };

  void FindDeadBlobs(const vector<vector<int>>& touched);
  void Discard(int blob);

  const Net<Dtype>& net_;
  const vector<int> memory_roots_;
  vector<Step> steps_;
  /// Blobs inside of fused operations: never computed.
  vector<int> fused_away_;
  HostMemoryPool pool_;
};

}  // namespace caffe

#endif  // CAFFE_NET_INFERENCE_PLAN_HPP_
