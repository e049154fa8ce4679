#ifndef CAFFE_NET_PASSES_USES_HPP_
#define CAFFE_NET_PASSES_USES_HPP_

#include <vector>

#include "caffe/net/step.hpp"

namespace caffe {

/// What the steps of a net do with the data of one memory group.
struct GroupUse {
  vector<int> writers;    ///< steps, in order
  vector<int> readers;    ///< steps whose Backward reads it, in order
  int last_forward = -1;  ///< the last step that touches it; -1: none
  /// Somebody may want it whom the passes do not know, so that it is never freed: whoever
  /// looks at results or inputs, a layer that does not tell what it reads.
  bool kept = false;
};

/// By group. Groups of `kept_blobs` are kept besides.
vector<GroupUse> FindUses(const GraphFacts& graph, const vector<Step>& steps,
                          const vector<int>& kept_blobs);

/// The other groups that a step which writes `group` reads.
vector<int> SourcesOf(const GraphFacts& graph, const Step& writer, int group);

}  // namespace caffe

#endif  // CAFFE_NET_PASSES_USES_HPP_
