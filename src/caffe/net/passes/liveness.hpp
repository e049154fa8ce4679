#ifndef CAFFE_NET_PASSES_LIVENESS_HPP_
#define CAFFE_NET_PASSES_LIVENESS_HPP_

#include <vector>

#include "caffe/net/passes/uses.hpp"

namespace caffe {

/// The last pass, of nets that need not keep their blobs: after which step each data and
/// diff is of no use. Sets Step::free_after_forward, free_after_backward, free_diffs and
/// Recomputation::free.
///
/// Data is freed after the last step that needs it; if it is recomputed, after Forward
/// as well. A diff is freed when the step that wrote its blob has run backward: until
/// then any layer may read it, or use it as it likes.
void Liveness(const GraphFacts& graph, const vector<GroupUse>& uses, vector<Step>* steps);

}  // namespace caffe

#endif  // CAFFE_NET_PASSES_LIVENESS_HPP_
