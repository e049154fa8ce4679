#ifndef CAFFE_NET_PASSES_RECOMPUTE_HPP_
#define CAFFE_NET_PASSES_RECOMPUTE_HPP_

#include <vector>

#include "caffe/net/passes/uses.hpp"

namespace caffe {

/// The second pass, of nets that need not keep their blobs: data that Backward reads but
/// that is cheap to compute again is not kept for it. Sets Step::recompute_before.
void Recompute(const GraphFacts& graph, const vector<GroupUse>& uses,
               vector<Step>* steps);

}  // namespace caffe

#endif  // CAFFE_NET_PASSES_RECOMPUTE_HPP_
