#include "caffe/net/schedule.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "caffe/net/passes/fuse.hpp"
#include "caffe/net/passes/liveness.hpp"
#include "caffe/net/passes/recompute.hpp"

namespace caffe {

const char* PolicyName(Policy policy) {
  static constexpr const char* kNames[] = {"plain", "training", "inference"};
  return kNames[static_cast<int>(policy)];
}

template <typename Dtype>
Schedule<Dtype>::Schedule(const Graph<Dtype>& graph, Policy policy, bool keep_blobs,
                          const vector<int>& kept, shared_ptr<HostMemoryPool> pool)
    : graph_(graph),
      policy_(policy),
      frees_(policy == Policy::kInference ||
             (policy == Policy::kTraining && !keep_blobs)),
      pool_(std::move(pool)),
      members_(graph.blobs.size()) {
  FusedSteps<Dtype> fused = Fuse(graph, policy);
  steps_ = std::move(fused.steps);
  operations_ = std::move(fused.operations);
  if (!frees_) return;
  for (size_t blob = 0; blob < graph.blobs.size(); ++blob) {
    members_[graph.roots[blob]].push_back(static_cast<int>(blob));
  }
  const vector<GroupUse> uses = FindUses(graph, steps_, kept);
  Recompute(graph, uses, &steps_);
  Liveness(graph, uses, &steps_);
}

template <typename Dtype>
RecordedSteps<Dtype>* Schedule<Dtype>::recorded() {
  if (!recorded_ && RecordedSteps<Dtype>::AreWanted()) {
    recorded_ = std::make_unique<RecordedSteps<Dtype>>(graph_, steps_);
  }
  return recorded_.get();
}

template <typename Dtype>
string Schedule<Dtype>::Why(const char* half, int blob) const {
  const string& name = graph_.blob_names[graph_.roots[blob]];
  if (policy_ == Policy::kInference) {
    return Str("blob '", name, "' of net '", graph_.name, "', like those that ",
               "share its memory, is not kept: the net is optimised for ",
               "inference; make it without optimize=True (Net::Optimize) to see ",
               "all blobs");
  }
  return Str("the ", half, " of blob '", name, "' of net '", graph_.name,
             "' is not kept: training frees what it needs no more; use `caffe train "
             "-keep_blobs` (set_keep_blobs(True), Net::set_keep_blobs) to see all blobs");
}

template <typename Dtype>
void Schedule<Dtype>::FreeData(int group) {
  for (int member : members_[group]) {
    const Blob<Dtype>& blob = *graph_.blobs[member];
    if (blob.num_axes() == 0 && blob.count() == 0) continue;  // no shape yet
    const shared_ptr<SyncedMemory>& data = blob.data();
    if (data->discarded()) continue;
    // A layer may share its blobs' data in ways unknown to the plan.
    const auto shares = [&](int other) {
      return graph_.blobs[other]->count() > 0 && graph_.blobs[other]->data() == data;
    };
    const auto sharing =
        std::count_if(members_[group].begin(), members_[group].end(), shares);
    if (data.use_count() > sharing) {
      bool foreign = false;
      for (int other = 0; other < static_cast<int>(graph_.blobs.size()); ++other) {
        foreign = foreign || (graph_.roots[other] != group && shares(other));
      }
      if (foreign) continue;
    }
    data->Discard(Why("data", group));
  }
}

template <typename Dtype>
void Schedule<Dtype>::FreeDiff(int blob) {
  diff_done_[blob] = true;
  const Blob<Dtype>& freed = *graph_.blobs[blob];
  if (freed.count() == 0) return;
  for (size_t other = 0; other < graph_.blobs.size(); ++other) {
    const Blob<Dtype>& sharer = *graph_.blobs[other];
    if (!diff_done_[other] && sharer.count() > 0 && sharer.diff() == freed.diff()) return;
  }
  freed.diff()->Discard(Why("diff", blob));
}

// Backward wants them in another layout than Forward, and after the update they are of
// no use: all that keeping them would spare is to take their memory from the pool again.
template <typename Dtype>
void Schedule<Dtype>::FreePackedWeights(int i) {
  if (policy_ == Policy::kInference) return;
  for (int layer : steps_[i].layers) {
    for (const auto& blob : graph_.layers[layer]->blobs()) {
      if (blob->count() > 0) blob->data()->KeepPlainOnly();
    }
  }
}

template <typename Dtype>
void Schedule<Dtype>::AfterForward(int i) {
  if (!frees_) return;
  for (int group : steps_[i].free_after_forward) FreeData(group);
  FreePackedWeights(i);
}

template <typename Dtype>
void Schedule<Dtype>::EndForward() {
  if (policy_ != Policy::kInference) return;
  // Nothing was written there.
  for (const Step& step : steps_) {
    for (int blob : step.skipped) FreeData(graph_.roots[blob]);
  }
  pool_->Trim();
}

template <typename Dtype>
void Schedule<Dtype>::BeginBackward() {
  if (!frees_) return;
  diff_done_.assign(graph_.blobs.size(), false);
  RenewDiffs();
}

template <typename Dtype>
void Schedule<Dtype>::BeforeBackward(int i) {
  for (const Step::Recomputation& again : steps_[i].recompute_before) {
    if (graph_.blobs[again.group]->data()->discarded()) {
      for (int writer : again.writers) operations_[writer]->Recompute();
    }
    for (int group : again.free) FreeData(group);
  }
}

template <typename Dtype>
void Schedule<Dtype>::AfterBackward(int i) {
  if (!frees_) return;
  for (int group : steps_[i].free_after_backward) FreeData(group);
  for (int blob : steps_[i].free_diffs) FreeDiff(blob);
  FreePackedWeights(i);
}

template <typename Dtype>
void Schedule<Dtype>::EndBackward() {
  if (frees_) pool_->Trim();
}

template <typename Dtype>
void Schedule<Dtype>::RenewDiffs() {
  for (const auto& blob : graph_.blobs) {
    if (blob->count() > 0 && blob->diff()->discarded()) blob->diff()->Renew();
  }
}

template <typename Dtype>
string Schedule<Dtype>::ToString() const {
  const auto list = [](const vector<int>& ids, const vector<string>& names) {
    string text;
    for (int id : ids) text += (text.empty() ? "" : ", ") + names[id];
    return text;
  };
  string text = Str("net '", graph_.name, "', policy ", PolicyName(policy_),
                    frees_ ? "" : " (all blobs are kept)", ": ", graph_.layers.size(),
                    " layers in ", steps_.size(), " steps\n");
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    string layers;
    for (int layer : step.layers) {
      layers += (layers.empty() ? "" : " + ") + graph_.layer_names[layer];
    }
    text += Str(i, ": ", layers, " (", graph_.layers[step.layers[0]]->type(), ")\n");
    const auto add = [&](const char* what, const string& blobs) {
      if (!blobs.empty()) text += Str("    ", what, ": ", blobs, "\n");
    };
    add("free after Forward", list(step.free_after_forward, graph_.blob_names));
    for (const Step::Recomputation& again : step.recompute_before) {
      add("recompute before Backward", graph_.blob_names[again.group]);
      add("  then free", list(again.free, graph_.blob_names));
    }
    add("free after Backward", list(step.free_after_backward, graph_.blob_names));
    add("free gradients after Backward", list(step.free_diffs, graph_.blob_names));
  }
  return text;
}

INSTANTIATE_CLASS(Schedule);

}  // namespace caffe
