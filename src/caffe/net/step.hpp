#ifndef CAFFE_NET_STEP_HPP_
#define CAFFE_NET_STEP_HPP_

#include <memory>
#include <vector>

#include "caffe/graph.hpp"

namespace caffe {

/// How a net is run.
enum class Policy {
  kPlain,     ///< layer by layer, with every blob to be looked at: Caffe's contract
  kTraining,  ///< the same results to the bit, without what nobody needs
  kInference  ///< forward alone, equal to float rounding, with inputs and outputs only
};

/// "plain", "training" or "inference".
const char* PolicyName(Policy policy);

/// One unit of a schedule: a layer, or several in one pass. Groups are memory groups, by
/// their roots (GraphFacts::roots).
struct Step {
  struct Use {
    int blob;
    DataUse backward;
  };
  struct Recomputation {
    int group;
    vector<int> writers;  ///< steps that write the group, in order
    vector<int> free;     ///< groups that are of no use afterwards
  };

  vector<int> layers;  ///< whose work it does, in order
  // Set by Fuse.
  vector<int> reads;    ///< blobs that others wrote
  vector<int> writes;   ///< blobs, but for views
  vector<Use> uses;     ///< of all blobs that Forward touches
  vector<int> skipped;  ///< blobs between its layers, which are never computed
  bool can_recompute = false;
  // Set by Recompute, in the order in which Backward does it before the step.
  vector<Recomputation> recompute_before;
  // Set by Liveness.
  vector<int> free_after_forward, free_after_backward;  ///< data of groups
  vector<int> free_diffs;                               ///< blobs, after Backward
};

/// What a step does.
template <typename Dtype>
class Operation {
 public:
  virtual ~Operation() = default;
  /// Reshapes and computes; returns the weighted loss.
  virtual Dtype Forward() = 0;
  /// Not called of operations for inference.
  virtual void Backward() {}
  /// Whether it reads bfloat16 with the channels last as well as float32, and may leave
  /// its result so: asked of and told to operations for inference.
  virtual bool takes_bfloat16() const { return false; }
  virtual void LeaveBfloat16() {}
  /// Writes the data of the last Forward again; called of steps that can_recompute.
  virtual void Recompute() {}
};

template <typename Dtype>
using OperationPtr = std::unique_ptr<Operation<Dtype>>;

}  // namespace caffe

#endif  // CAFFE_NET_STEP_HPP_
