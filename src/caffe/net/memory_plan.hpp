#ifndef CAFFE_NET_MEMORY_PLAN_HPP_
#define CAFFE_NET_MEMORY_PLAN_HPP_

#include <deque>
#include <vector>

#include "caffe/host_memory.hpp"
#include "caffe/net.hpp"

namespace caffe {

/// What a net that need not keep its blobs frees, and what it computes again; see
/// Net::set_keep_blobs().
///
/// Blobs that share data form a group. The data of a group is freed after the last
/// layer that needs it has run. If Backward reads it but it is cheap to recompute, it
/// is freed after Forward already, and written again before Backward first reads it.
/// Data is kept for good if somebody may want it whom the plan does not know: of inputs
/// and outputs of the net, and of blobs of layers that do not tell their DataUse.
///
/// A diff is freed when the layer that wrote its blob forward has run backward: until
/// then any layer may read it, or use it as it likes.
template <typename Dtype>
class MemoryPlan {
 public:
  /// `memory_roots[b]` is the first blob whose data blob b shares, b itself if none.
  /// The data of `kept` is never freed. While the net runs, memory comes from `pool`.
  MemoryPlan(const Net<Dtype>& net, const vector<int>& memory_roots,
             const vector<int>& kept, shared_ptr<HostMemoryPool> pool);

  /// The calls are made for every layer, in the order in which the net runs them.
  void AfterForward(int layer);
  void BeginBackward();
  /// Recomputes what the layer reads. Does nothing to data that was not freed.
  void BeforeBackward(int layer);
  void AfterBackward(int layer);
  void EndBackward() { pool_->Trim(); }
  /// Gives back the diffs' memories to layers that expect zeros in them.
  void RenewDiffs();

  HostMemoryPool* pool() { return pool_.get(); }

 private:
  struct Recomputation {
    int group;
    vector<int> writers;  ///< layers that write the group, in order
    vector<int> dead;     ///< groups that are of no use afterwards
  };
  class Planner;

  string Why(const char* half, int blob) const;
  void FreeData(int group);
  void FreeDiff(int blob);
  void FreePackedWeights(int layer);

  const Net<Dtype>& net_;
  const vector<int> roots_;
  // All by layer.
  vector<vector<int>> dead_after_forward_, dead_after_backward_;
  vector<std::deque<Recomputation>> recomputed_before_;
  vector<vector<int>> diffs_dead_;

  /// The diffs that this Backward needs no more.
  vector<bool> diff_done_;
  const shared_ptr<HostMemoryPool> pool_;
};

}  // namespace caffe

#endif  // CAFFE_NET_MEMORY_PLAN_HPP_
