#include "caffe/net/memory_plan.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace caffe {
namespace {

// Data is recomputed if that moves at most this many times its own bytes: 2 for a batch
// norm (reads and writes), 5 for the sum of an SK unit's scaled branches.
constexpr double kMostPasses = 6;

// What is this many times smaller than the data recomputed from it may be kept for that.
constexpr double kSmall = 16;

}  // namespace

/// Fills the lists of a plan.
template <typename Dtype>
class MemoryPlan<Dtype>::Planner {
 public:
  explicit Planner(MemoryPlan* plan)
      : plan_(*plan), net_(plan->net_), groups_(plan->roots_.size()) {}

  void Run(const vector<int>& kept) {
    for (int blob : kept) GroupOf(blob).kept = true;
    for (int blob : net_.output_blob_indices()) GroupOf(blob).kept = true;
    for (size_t blob = 0; blob < net_.blob_loss_weights().size(); ++blob) {
      if (net_.blob_loss_weights()[blob]) GroupOf(blob).kept = true;
    }
    const int layers = static_cast<int>(net_.layers().size());
    for (int i = 0; i < layers; ++i) FindUses(i);
    // In the order in which they are first written: sources come first.
    for (int i = 0; i < layers; ++i) {
      for (int blob : net_.top_ids(i)) {
        const int group = plan_.roots_[blob];
        if (FirstWriter(group) == i) Choose(group);
      }
    }
    for (int i = layers - 1; i >= 0; --i) {
      for (int group : reads_[i]) Provide(group, i);
      for (int group : reads_[i])
        groups_[group].last_use = &plan_.dead_after_backward_[i];
      FindDeadDiffs(i);
    }
    for (size_t g = 0; g < groups_.size(); ++g) {
      const Group& group = groups_[g];
      if (group.kept || group.last_forward < 0) continue;
      const int id = static_cast<int>(g);
      if (group.provided || !group.last_use) {
        plan_.dead_after_forward_[group.last_forward].push_back(id);
      }
      if (group.last_use) group.last_use->push_back(id);
    }
  }

 private:
  struct Group {
    vector<int> writers;
    int last_forward = -1;
    bool kept = false;
    bool read = false;  ///< by the Backward of a layer
    bool can_recompute = false;
    bool recomputed = false;          ///< for a Backward, rather than kept for it
    bool provided = false;            ///< some Recomputation writes it
    double passes = 0;                ///< bytes that recomputing moves
    vector<int>* last_use = nullptr;  ///< the list of what dies then
  };

  Group& GroupOf(int blob) { return groups_[plan_.roots_[blob]]; }

  int FirstWriter(int group) const {
    return groups_[group].writers.empty() ? -1 : groups_[group].writers.front();
  }

  double Bytes(int blob) const {
    return static_cast<double>(net_.blobs()[blob]->count()) * sizeof(Dtype);
  }

  void FindUses(int i) {
    reads_.emplace_back();
    if (net_.layer_absorbed(i)) return;
    const Layer<Dtype>& layer = *net_.layers()[i];
    const vector<int>& bottoms = net_.bottom_ids(i);
    const vector<int>& tops = net_.top_ids(i);
    const bool runs_backward = net_.phase() == TRAIN && net_.layer_need_backward()[i];
    const auto use = [&](int blob, DataUse backward) {
      Group& group = GroupOf(blob);
      group.last_forward = i;
      // The layer behind nothing may have filled its tops for good.
      if (backward == DataUse::kUnknown || bottoms.empty()) group.kept = true;
      if (!runs_backward || backward == DataUse::kNone) return;
      group.read = true;
      reads_.back().insert(plan_.roots_[blob]);
    };
    for (size_t j = 0; j < bottoms.size(); ++j)
      use(bottoms[j], layer.BackwardUseOfBottom(j));
    for (size_t j = 0; j < tops.size(); ++j) {
      use(tops[j], layer.BackwardUseOfTop(j));
      const bool in_place = std::count(bottoms.begin(), bottoms.end(), tops[j]) > 0;
      const bool shares = !in_place && plan_.roots_[tops[j]] != tops[j];
      if (!shares) GroupOf(tops[j]).writers.push_back(i);
    }
  }

  // The other groups that a writer of `group` reads.
  set<int> Sources(int writer, int group) const {
    set<int> sources;
    for (int blob : net_.bottom_ids(writer)) sources.insert(plan_.roots_[blob]);
    sources.erase(group);
    return sources;
  }

  void Choose(int id) {
    Group& group = groups_[id];
    if (group.kept) return;
    for (int writer : group.writers) {
      const Layer<Dtype>& layer = *net_.layers()[writer];
      if (!layer.CanRecompute() || net_.top_ids(writer).size() != 1) return;
      group.passes += Bytes(net_.top_ids(writer)[0]);
      for (int blob : net_.bottom_ids(writer)) group.passes += Bytes(blob);
      for (int source_id : Sources(writer, id)) {
        const Group& source = groups_[source_id];
        // A later layer may have changed it in place.
        if (source.writers.empty() || source.writers.back() >= writer) return;
        const bool there = source.kept || source.read;
        if (there) continue;
        if (!source.can_recompute && Bytes(source_id) * kSmall > Bytes(id)) return;
        group.passes += source.passes;
      }
    }
    group.can_recompute = true;
    group.recomputed = group.read && group.passes <= kMostPasses * Bytes(id);
  }

  // Sees to it that `group` is there when layer i runs backward.
  void Provide(int id, int i) {
    Group& group = groups_[id];
    const bool stays = group.kept || (group.read && !group.recomputed);
    if (stays || !group.can_recompute || group.provided) return;
    group.provided = true;
    for (int writer : group.writers) {
      for (int source : Sources(writer, id)) Provide(source, i);
    }
    plan_.recomputed_before_[i].push_back({id, group.writers, {}});
    vector<int>* dead = &plan_.recomputed_before_[i].back().dead;
    group.last_use = dead;
    for (int writer : group.writers) {
      for (int source : Sources(writer, id)) groups_[source].last_use = dead;
    }
  }

  // Of blobs that layer i is the first to write.
  void FindDeadDiffs(int i) {
    if (net_.bottom_ids(i).empty()) return;
    const vector<int>& outputs = net_.output_blob_indices();
    for (int blob : net_.top_ids(i)) {
      const auto& bottoms = net_.bottom_ids(i);
      const bool in_place = std::count(bottoms.begin(), bottoms.end(), blob) > 0;
      const bool is_output = std::count(outputs.begin(), outputs.end(), blob) > 0;
      if (in_place || is_output || net_.blob_loss_weights()[blob]) continue;
      plan_.diffs_dead_[i].push_back(blob);
    }
  }

  MemoryPlan& plan_;
  const Net<Dtype>& net_;
  vector<Group> groups_;
  /// The groups that each layer's Backward reads.
  vector<set<int>> reads_;
};

template <typename Dtype>
MemoryPlan<Dtype>::MemoryPlan(const Net<Dtype>& net, const vector<int>& memory_roots,
                              const vector<int>& kept, shared_ptr<HostMemoryPool> pool)
    : net_(net),
      roots_(memory_roots),
      dead_after_forward_(net.layers().size()),
      dead_after_backward_(net.layers().size()),
      recomputed_before_(net.layers().size()),
      diffs_dead_(net.layers().size()),
      pool_(std::move(pool)) {
  Planner(this).Run(kept);
}

template <typename Dtype>
string MemoryPlan<Dtype>::Why(const char* half, int blob) const {
  return Str("the ", half, " of blob '", net_.blob_names()[roots_[blob]], "' of net '",
             net_.name(),
             "' is not kept: training frees what it needs no more; use `caffe train "
             "-keep_blobs` (set_keep_blobs(True), Net::set_keep_blobs) to see all blobs");
}

template <typename Dtype>
void MemoryPlan<Dtype>::FreeData(int group) {
  const shared_ptr<SyncedMemory>& data = net_.blobs()[group]->data();
  for (size_t blob = 0; blob < roots_.size(); ++blob) {
    const Blob<Dtype>& other = *net_.blobs()[blob];
    // A layer may share its blobs' data in ways unknown to the plan.
    if (roots_[blob] != group && other.count() > 0 && other.data() == data) return;
  }
  data->Discard(Why("data", group));
}

template <typename Dtype>
void MemoryPlan<Dtype>::FreeDiff(int blob) {
  diff_done_[blob] = true;
  const Blob<Dtype>& freed = *net_.blobs()[blob];
  if (freed.count() == 0) return;
  for (size_t other = 0; other < roots_.size(); ++other) {
    const Blob<Dtype>& sharer = *net_.blobs()[other];
    if (!diff_done_[other] && sharer.count() > 0 && sharer.diff() == freed.diff()) return;
  }
  freed.diff()->Discard(Why("diff", blob));
}

// Backward wants them in another layout than Forward, and after the update they are of
// no use: all that keeping them would spare is to take their memory from the pool again.
template <typename Dtype>
void MemoryPlan<Dtype>::FreePackedWeights(int layer) {
  for (const auto& blob : net_.layers()[layer]->blobs()) {
    if (blob->count() > 0) blob->data()->KeepPlainOnly();
  }
}

template <typename Dtype>
void MemoryPlan<Dtype>::AfterForward(int layer) {
  for (int group : dead_after_forward_[layer]) FreeData(group);
  FreePackedWeights(layer);
}

template <typename Dtype>
void MemoryPlan<Dtype>::BeginBackward() {
  diff_done_.assign(roots_.size(), false);
  RenewDiffs();
}

template <typename Dtype>
void MemoryPlan<Dtype>::BeforeBackward(int layer) {
  for (const Recomputation& step : recomputed_before_[layer]) {
    if (net_.blobs()[step.group]->data()->discarded()) {
      for (int writer : step.writers) {
        net_.layers()[writer]->Recompute(net_.bottom_vecs()[writer],
                                         net_.top_vecs()[writer]);
      }
    }
    for (int group : step.dead) FreeData(group);
  }
}

template <typename Dtype>
void MemoryPlan<Dtype>::AfterBackward(int layer) {
  for (int group : dead_after_backward_[layer]) FreeData(group);
  for (int blob : diffs_dead_[layer]) FreeDiff(blob);
  FreePackedWeights(layer);
}

template <typename Dtype>
void MemoryPlan<Dtype>::RenewDiffs() {
  for (const auto& blob : net_.blobs()) {
    if (blob->count() > 0 && blob->diff()->discarded()) blob->diff()->Renew();
  }
}

INSTANTIATE_CLASS(MemoryPlan);

}  // namespace caffe
