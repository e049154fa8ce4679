#include "caffe/net.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "caffe/net/inference_plan.hpp"
#include "caffe/net/memory_plan.hpp"
#include "caffe/net/overwritten_data.hpp"

// How a Net runs otherwise than layer by layer with all its blobs kept: in-place layers
// computed by their producers, the plan for inference, the release of memory.

namespace caffe {

// An in-place layer right behind its producer may be computed by the producer in
// the same pass over memory, until somebody looks at the blob in between.
template <typename Dtype>
void Net<Dtype>::AbsorbInPlaceLayers() {
  absorbed_.assign(layers_.size(), false);
  if (debug_info_) return;
  for (size_t i = 0; i + 1 < layers_.size(); ++i) {
    const size_t next = i + 1;
    const bool in_place = top_vecs_[i].size() == 1 && bottom_vecs_[next].size() == 1 &&
                          top_vecs_[next].size() == 1 &&
                          bottom_vecs_[next][0] == top_vecs_[next][0] &&
                          bottom_vecs_[next][0] == top_vecs_[i][0];
    if (in_place && !layers_[i]->loss(0) && !layers_[next]->loss(0) &&
        layer_need_backward_[i] == layer_need_backward_[next] &&
        layers_[i]->AbsorbInPlace(*layers_[next])) {
      absorbed_[next] = true;
      ++i;
    }
  }
}

// Lets layer_id run by itself again if the layer before it does its work.
template <typename Dtype>
void Net<Dtype>::Separate(int layer_id) {
  if (layer_id <= 0 || layer_id >= static_cast<int>(layers_.size())) return;
  if (!absorbed_[layer_id]) return;
  layers_[layer_id - 1]->ReleaseInPlace();
  absorbed_[layer_id] = false;
  TellLayers();
  if (memory_plan_) MakeMemoryPlan();
}

template <typename Dtype>
void Net<Dtype>::SeparateAll() {
  for (size_t i = 0; i < layers_.size(); ++i) Separate(static_cast<int>(i));
}

template <typename Dtype>
void Net<Dtype>::set_debug_info(const bool value) {
  debug_info_ = value;
  if (!value) return;
  plan_.reset();
  SeparateAll();
}

template <typename Dtype>
void Net<Dtype>::set_keep_blobs(bool value) {
  keep_blobs_ = value;
  UpdateMemoryPlan();
}

template <typename Dtype>
void Net<Dtype>::set_precision(NetParameter::Precision value) {
  if (value == precision_) return;
  precision_ = value;
  TellLayers();
  Reshape();
}

template <typename Dtype>
void Net<Dtype>::MakeMemoryPlan() {
  if (!pool_) pool_ = std::make_shared<HostMemoryPool>();
  memory_plan_ = std::make_shared<MemoryPlan<Dtype>>(*this, MemoryRoots(),
                                                     overwritten_data_->blobs(), pool_);
}

// Nobody may want to see the blobs between two layers.
template <typename Dtype>
void Net<Dtype>::UpdateMemoryPlan() {
  bool keeps = keep_blobs_ || debug_info_ || Caffe::mode() == Caffe::GPU;
  for (const auto* callbacks :
       {&before_forward_, &after_forward_, &before_backward_, &after_backward_}) {
    for (const Callback* callback : *callbacks) keeps = keeps || callback->reads_blobs();
  }
  if (!keeps) {
    if (!memory_plan_) MakeMemoryPlan();
  } else if (memory_plan_) {
    memory_plan_->RenewDiffs();
    memory_plan_.reset();
  }
}

template <typename Dtype>
void Net<Dtype>::Optimize() {
  if (phase_ != TEST) {
    throw ValueError(Str("net '", name_,
                         "' is in phase TRAIN, expected TEST: only "
                         "inference can be optimised"));
  }
  if (debug_info_ || !before_forward_.empty() || !after_forward_.empty() ||
      Caffe::mode() == Caffe::GPU) {
    return;
  }
  SeparateAll();
  plan_ = std::make_shared<InferencePlan<Dtype>>(*this, MemoryRoots());
  plan_->Finish();
}

template <typename Dtype>
void Net<Dtype>::add_before_forward(Callback* value) {
  before_forward_.push_back(value);
  plan_.reset();
  SeparateAll();
}

template <typename Dtype>
void Net<Dtype>::add_after_forward(Callback* value) {
  after_forward_.push_back(value);
  plan_.reset();
  SeparateAll();
}

// For every blob the first one whose memory it shares; itself if there is none.
template <typename Dtype>
vector<int> Net<Dtype>::MemoryRoots() const {
  // Some share in Reshape, as can be seen by now; these only when they run.
  static const set<string> kSharing = {"Split", "Reshape", "Flatten"};
  const auto same_memory = [this](int a, int b) {
    return blobs_[a]->count() > 0 && blobs_[b]->count() > 0 &&
           blobs_[a]->data() == blobs_[b]->data();
  };
  vector<int> root(blobs_.size());
  for (size_t i = 0; i < root.size(); ++i) root[i] = static_cast<int>(i);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const vector<int>& bottoms = bottom_id_vecs_[i];
    for (int top : top_id_vecs_[i]) {
      if (std::count(bottoms.begin(), bottoms.end(), top)) continue;
      const auto shared = std::find_if(bottoms.begin(), bottoms.end(), [&](int bottom) {
        return kSharing.count(layers_[i]->type()) > 0 || same_memory(top, bottom);
      });
      if (shared != bottoms.end()) root[top] = root[*shared];
    }
  }
  return root;
}

// A top is preserved unless a later layer works in place on it, or on a blob that
// shares its memory. What the layers say they read depends on it.
template <typename Dtype>
void Net<Dtype>::TellLayers() {
  const vector<int> root = MemoryRoots();
  vector<size_t> last_writer(blobs_.size(), 0);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const vector<int>& bottoms = bottom_id_vecs_[i];
    for (int top : top_id_vecs_[i]) {
      const bool in_place = std::count(bottoms.begin(), bottoms.end(), top) > 0;
      const bool shares = !in_place && root[top] != top;
      if (!shares && !absorbed_[i]) last_writer[root[top]] = i;
    }
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    LayerContext context;
    context.precision = precision_;
    context.runs_backward = layer_need_backward_[i];
    for (int top : top_id_vecs_[i]) {
      context.top_preserved.push_back(last_writer[root[top]] <= i);
    }
    layers_[i]->Prepare(context);
  }
  overwritten_data_ = std::make_shared<OverwrittenData<Dtype>>(*this, root);
}

template <typename Dtype>
size_t Net<Dtype>::MemoryBytes() const {
  set<const SyncedMemory*> memories;
  for (const auto& blob : blobs_) {
    if (blob->num_axes() == 0 && blob->count() == 0) continue;
    memories.insert(blob->data().get());
    memories.insert(blob->diff().get());
  }
  for (const auto& blob : params_) {
    memories.insert(blob->data().get());
    memories.insert(blob->diff().get());
  }
  size_t total = 0;
  for (const SyncedMemory* memory : memories) total += memory->allocated_bytes();
  return total;
}

#define INSTANTIATE_NET_PLANS(Dtype)                                \
  template void Net<Dtype>::AbsorbInPlaceLayers();                  \
  template void Net<Dtype>::Separate(int);                          \
  template void Net<Dtype>::TellLayers();                           \
  template void Net<Dtype>::set_debug_info(const bool);             \
  template void Net<Dtype>::Optimize();                             \
  template void Net<Dtype>::set_keep_blobs(bool);                   \
  template void Net<Dtype>::set_precision(NetParameter::Precision); \
  template void Net<Dtype>::UpdateMemoryPlan();                     \
  template void Net<Dtype>::MakeMemoryPlan();                       \
  template vector<int> Net<Dtype>::MemoryRoots() const;             \
  template void Net<Dtype>::add_before_forward(Callback*);          \
  template void Net<Dtype>::add_after_forward(Callback*);           \
  template size_t Net<Dtype>::MemoryBytes() const
INSTANTIATE_NET_PLANS(float);
INSTANTIATE_NET_PLANS(double);

}  // namespace caffe
