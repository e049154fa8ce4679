#include "caffe/net/passes/uses.hpp"

#include <algorithm>
#include <vector>

namespace caffe {

vector<GroupUse> FindUses(const GraphFacts& graph, const vector<Step>& steps,
                          const vector<int>& kept_blobs) {
  vector<GroupUse> groups(graph.roots.size());
  for (int blob : kept_blobs) groups[graph.roots[blob]].kept = true;
  for (size_t blob = 0; blob < graph.is_result.size(); ++blob) {
    if (graph.is_result[blob]) groups[graph.roots[blob]].kept = true;
  }
  for (int s = 0; s < static_cast<int>(steps.size()); ++s) {
    const int first = steps[s].layers[0];
    // Data comes from outside, or the layer has filled its tops for good.
    const bool is_source = graph.bottom_ids[first].empty();
    const bool runs_backward = graph.phase == TRAIN && graph.layer_need_backward[first];
    for (const Step::Use& use : steps[s].uses) {
      GroupUse& group = groups[graph.roots[use.blob]];
      group.last_forward = s;
      if (use.backward == DataUse::kUnknown || is_source) group.kept = true;
      if (!runs_backward || use.backward == DataUse::kNone) continue;
      if (group.readers.empty() || group.readers.back() != s) group.readers.push_back(s);
    }
    for (int blob : steps[s].writes) groups[graph.roots[blob]].writers.push_back(s);
  }
  return groups;
}

vector<int> SourcesOf(const GraphFacts& graph, const Step& writer, int group) {
  vector<int> sources;
  for (int blob : writer.reads) {
    const int source = graph.roots[blob];
    if (source == group || std::count(sources.begin(), sources.end(), source)) continue;
    sources.push_back(source);
  }
  return sources;
}

}  // namespace caffe
