#include "caffe/net/passes/recompute.hpp"

#include <vector>

namespace caffe {
namespace {

// Data is recomputed if that moves at most this many times its own bytes: 2 for a batch
// norm (reads and writes), 5 for the sum of an SK unit's scaled branches.
constexpr double kMostPasses = 6;

// What is this many times smaller than the data recomputed from it may be kept for that.
constexpr double kSmall = 16;

class Recomputer {
 public:
  Recomputer(const GraphFacts& graph, const vector<GroupUse>& uses, vector<Step>* steps)
      : graph_(graph), uses_(uses), steps_(*steps), choices_(uses.size()) {}

  void Run() {
    const int num_steps = static_cast<int>(steps_.size());
    // In the order in which they are first written: sources come first.
    for (int s = 0; s < num_steps; ++s) {
      for (int blob : steps_[s].writes) {
        const int group = graph_.roots[blob];
        if (uses_[group].writers.front() == s) Choose(group);
      }
    }
    vector<vector<int>> reads(num_steps);
    for (int group = 0; group < static_cast<int>(uses_.size()); ++group) {
      for (int s : uses_[group].readers) reads[s].push_back(group);
    }
    for (int s = num_steps - 1; s >= 0; --s) {
      for (int group : reads[s]) Provide(group, s);
    }
  }

 private:
  struct Choice {
    bool possible = false;
    bool taken = false;     ///< for a Backward, rather than kept for it
    bool provided = false;  ///< some Recomputation writes it
    double bytes = 0;       ///< that recomputing moves
  };

  bool IsRead(int group) const { return !uses_[group].readers.empty(); }

  void Choose(int group) {
    const GroupUse& use = uses_[group];
    Choice& choice = choices_[group];
    if (use.kept) return;
    for (int writer : use.writers) {
      const Step& step = steps_[writer];
      if (!step.can_recompute) return;
      for (int blob : step.writes) choice.bytes += graph_.bytes[blob];
      for (int blob : step.reads) choice.bytes += graph_.bytes[blob];
      for (int source : SourcesOf(graph_, step, group)) {
        // A later step may have changed it in place.
        const vector<int>& writers = uses_[source].writers;
        if (writers.empty() || writers.back() >= writer) return;
        if (uses_[source].kept || IsRead(source)) continue;
        if (!choices_[source].possible &&
            graph_.bytes[source] * kSmall > graph_.bytes[group]) {
          return;
        }
        choice.bytes += choices_[source].bytes;
      }
    }
    choice.possible = true;
    choice.taken = IsRead(group) && choice.bytes <= kMostPasses * graph_.bytes[group];
  }

  // Sees to it that `group` is there when step s runs backward.
  void Provide(int group, int s) {
    Choice& choice = choices_[group];
    const bool stays = uses_[group].kept || (IsRead(group) && !choice.taken);
    if (stays || !choice.possible || choice.provided) return;
    choice.provided = true;
    for (int writer : uses_[group].writers) {
      for (int source : SourcesOf(graph_, steps_[writer], group)) Provide(source, s);
    }
    steps_[s].recompute_before.push_back({group, uses_[group].writers, {}});
  }

  const GraphFacts& graph_;
  const vector<GroupUse>& uses_;
  vector<Step>& steps_;
  vector<Choice> choices_;
};

}  // namespace

void Recompute(const GraphFacts& graph, const vector<GroupUse>& uses,
               vector<Step>* steps) {
  Recomputer(graph, uses, steps).Run();
}

}  // namespace caffe
