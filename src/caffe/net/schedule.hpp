#ifndef CAFFE_NET_SCHEDULE_HPP_
#define CAFFE_NET_SCHEDULE_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/host_memory.hpp"
#include "caffe/net/recorded_steps.hpp"
#include "caffe/net/step.hpp"

namespace caffe {

/// How a net runs: steps in order, with what is freed after each and computed again
/// before it. Made by passes (net/passes): Fuse; and unless all blobs are kept, Recompute
/// and Liveness.
///
/// Run: operation(i).Forward(), AfterForward(i) in order, EndForward(); so backwards.
template <typename Dtype>
class Schedule {
 public:
  /// With `keep_blobs` nothing is freed, but for inference. The data of `kept` never is.
  /// `pool` gives the memory that is freed and taken again.
  Schedule(const Graph<Dtype>& graph, Policy policy, bool keep_blobs,
           const vector<int>& kept, shared_ptr<HostMemoryPool> pool);

  Policy policy() const { return policy_; }
  /// Whether it frees blobs.
  bool frees() const { return frees_; }
  /// Of a net that is run by it; null if nothing is freed.
  HostMemoryPool* pool() const { return frees_ ? pool_.get() : nullptr; }

  int size() const { return static_cast<int>(steps_.size()); }
  const Step& step(int i) const { return steps_[i]; }
  Operation<Dtype>& operation(int i) { return *operations_[i]; }
  /// For inference on a GPU; null where graphs are not wanted.
  RecordedSteps<Dtype>* recorded();
  /// The layers will do something else.
  void ForgetRecorded() {
    if (recorded_) recorded_->Forget();
  }

  void AfterForward(int i);
  void EndForward();
  void BeginBackward();
  /// Recomputes what the step reads. Does nothing to data that was not freed.
  void BeforeBackward(int i);
  void AfterBackward(int i);
  void EndBackward();
  /// Gives back the diffs' memories to layers that expect zeros in them.
  void RenewDiffs();

  /// A line for each step: its layers, what is computed again before its Backward, and
  /// what is freed after it.
  string ToString() const;

 private:
  string Why(const char* half, int blob) const;
  void FreeData(int group);
  void FreeDiff(int blob);
  void FreePackedWeights(int i);

  const Graph<Dtype>& graph_;
  const Policy policy_;
  const bool frees_;
  const shared_ptr<HostMemoryPool> pool_;
  vector<Step> steps_;
  vector<OperationPtr<Dtype>> operations_;
  std::unique_ptr<RecordedSteps<Dtype>> recorded_;
  vector<vector<int>> members_;  ///< blobs of each group
  vector<bool> diff_done_;       ///< blobs whose diff this Backward needs no more
};

}  // namespace caffe

#endif  // CAFFE_NET_SCHEDULE_HPP_
