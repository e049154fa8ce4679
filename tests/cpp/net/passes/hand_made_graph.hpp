#ifndef CAFFE_TESTS_NET_PASSES_HAND_MADE_GRAPH_HPP_
#define CAFFE_TESTS_NET_PASSES_HAND_MADE_GRAPH_HPP_

#include <string>
#include <vector>

#include "caffe/net/passes/uses.hpp"

namespace caffe {
namespace test {

/// Facts and steps written down by hand, one step for each layer: no layer exists.
struct HandMadeGraph {
  GraphFacts facts;
  std::vector<Step> steps;

  explicit HandMadeGraph(Phase phase = TRAIN) { facts.phase = phase; }

  /// A blob of `bytes` that shares the memory of `root`, if given.
  int Blob(double bytes = 100, int root = -1) {
    const int id = static_cast<int>(facts.roots.size());
    facts.roots.push_back(root < 0 ? id : root);
    facts.is_result.push_back(false);
    facts.bytes.push_back(bytes);
    facts.blob_names.push_back("b" + std::to_string(id));
    return id;
  }

  struct Reads {
    DataUse bottoms = DataUse::kNone, tops = DataUse::kNone;
  };

  /// A layer with a step of its own. Tops that share other memory are views.
  int Layer(const std::vector<int>& bottoms, const std::vector<int>& tops, Reads reads,
            bool can_recompute = false, bool need_backward = true) {
    const int id = static_cast<int>(steps.size());
    facts.layer_names.push_back("l" + std::to_string(id));
    facts.bottom_ids.push_back(bottoms);
    facts.top_ids.push_back(tops);
    facts.layer_need_backward.push_back(need_backward);
    Step step;
    step.layers = {id};
    step.reads = bottoms;
    for (int blob : bottoms) step.uses.push_back({blob, reads.bottoms});
    for (int blob : tops) {
      step.uses.push_back({blob, reads.tops});
      if (!facts.IsView(id, blob)) step.writes.push_back(blob);
    }
    step.can_recompute = can_recompute;
    steps.push_back(step);
    return id;
  }

  std::vector<GroupUse> Uses(const std::vector<int>& kept = {}) const {
    return FindUses(facts, steps, kept);
  }
};

constexpr HandMadeGraph::Reads kReadsNothing = {};
constexpr HandMadeGraph::Reads kReadsBottoms = {DataUse::kRead, DataUse::kNone};
constexpr HandMadeGraph::Reads kReadsTops = {DataUse::kNone, DataUse::kRead};
constexpr HandMadeGraph::Reads kTellsNothing = {DataUse::kUnknown, DataUse::kUnknown};

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_NET_PASSES_HAND_MADE_GRAPH_HPP_
