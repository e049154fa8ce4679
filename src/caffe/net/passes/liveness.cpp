#include "caffe/net/passes/liveness.hpp"

#include <vector>

namespace caffe {

void Liveness(const GraphFacts& graph, const vector<GroupUse>& uses,
              vector<Step>* steps) {
  const int num_groups = static_cast<int>(uses.size());
  const int num_steps = static_cast<int>(steps->size());
  vector<vector<int>> reads(num_steps);
  for (int group = 0; group < num_groups; ++group) {
    for (int s : uses[group].readers) reads[s].push_back(group);
  }
  // The list of what dies with a group's last use in Backward, in the order of that.
  vector<vector<int>*> dies_with(num_groups, nullptr);
  vector<bool> recomputed(num_groups, false);
  for (int s = num_steps - 1; s >= 0; --s) {
    Step& step = (*steps)[s];
    for (Step::Recomputation& again : step.recompute_before) {
      recomputed[again.group] = true;
      dies_with[again.group] = &again.free;
      for (int writer : again.writers) {
        for (int source : SourcesOf(graph, (*steps)[writer], again.group)) {
          dies_with[source] = &again.free;
        }
      }
    }
    for (int group : reads[s]) dies_with[group] = &step.free_after_backward;
    for (int layer : step.layers) {
      if (graph.phase != TRAIN || graph.bottom_ids[layer].empty()) continue;
      for (int blob : graph.top_ids[layer]) {
        if (graph.WorksInPlace(layer, blob) || graph.is_result[blob]) continue;
        step.free_diffs.push_back(blob);
      }
    }
  }
  for (int group = 0; group < num_groups; ++group) {
    if (uses[group].kept || uses[group].last_forward < 0) continue;
    if (recomputed[group] || !dies_with[group]) {
      (*steps)[uses[group].last_forward].free_after_forward.push_back(group);
    }
    if (dies_with[group]) dies_with[group]->push_back(group);
  }
}

}  // namespace caffe
