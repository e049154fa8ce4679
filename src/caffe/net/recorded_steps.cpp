#include "caffe/net/recorded_steps.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <map>
#include <set>
#include <utility>

#include "caffe/gpu/tensor.hpp"

namespace caffe {
namespace {

// In the first run layers choose algorithms, convert weights and take memory; the second
// shows that the run comes again.
constexpr int kRecordedRun = 3;

template <typename Dtype>
bool HasMemory(const Blob<Dtype>& blob) {
  return blob.num_axes() > 0 || blob.count() > 0;
}

bool IsPackedOnDevice(const SyncedMemory& memory) {
  return memory.head() == SyncedMemory::HEAD_PACKED && IsOnDevice(memory.packed().get());
}

// So that recorded work, which reads `copies`, reads the present values.
bool BringTo(const SyncedMemory::DeviceCopies& copies, SyncedMemory* memory) {
  if (memory->discarded()) return false;
  if (copies.head == SyncedMemory::HEAD_PACKED) {
    return IsPackedOnDevice(*memory) && memory->packed() == copies.packed;
  }
  if (IsPackedOnDevice(*memory)) return false;
  return memory->gpu_data() == copies.plain;
}

}  // namespace

template <typename Dtype>
bool RecordedSteps<Dtype>::AreWanted() {
  const char* text = std::getenv("CAFFE_CUDA_GRAPHS");
  if (!text || !*text) return true;
  const string value = text;
  if (value != "0" && value != "1") {
    throw ValueError(Str("CAFFE_CUDA_GRAPHS is '", text, "', expected 0 or 1"));
  }
  return value == "1";
}

template <typename Dtype>
RecordedSteps<Dtype>::RecordedSteps(const Graph<Dtype>& graph, const vector<Step>& steps)
    : graph_(graph), starts_(steps.size(), -1) {
  const int count = static_cast<int>(steps.size());
  for (const Step& step : steps) {
    first_layers_.push_back(step.layers.front());
    last_layers_.push_back(step.layers.back());
  }
  for (int begin = 0; begin < count;) {
    int end = begin;
    while (end < count && IsDeviceOnly(steps[end])) ++end;
    if (end - begin > 1) AddSpan(begin, end, steps);
    begin = std::max(end, begin + 1);
  }
}

template <typename Dtype>
RecordedSteps<Dtype>::~RecordedSteps() {
  Forget();
}

template <typename Dtype>
bool RecordedSteps<Dtype>::IsDeviceOnly(const Step& step) const {
  for (int i : step.layers) {
    if (!graph_.traits[i].device_only) return false;
    // The host adds losses up.
    for (size_t top = 0; top < graph_.top_ids[i].size(); ++top) {
      if (graph_.layers[i]->loss(static_cast<int>(top))) return false;
    }
  }
  return true;
}

template <typename Dtype>
void RecordedSteps<Dtype>::AddSpan(int begin, int end, const vector<Step>& steps) {
  Span span;
  span.begin = begin;
  span.end = end;
  for (int s = begin; s < end; ++s) {
    for (int i : steps[s].layers) {
      const auto add = [&](const vector<Blob<Dtype>*>& blobs, bool is_top) {
        span.blobs.insert(span.blobs.end(), blobs.begin(), blobs.end());
        span.is_top.resize(span.blobs.size(), is_top);
      };
      add(graph_.bottom_vecs[i], false);
      add(graph_.top_vecs[i], true);
      span.layers.push_back(graph_.layers[i].get());
    }
  }
  starts_[begin] = static_cast<int>(spans_.size());
  spans_.push_back(std::move(span));
}

template <typename Dtype>
vector<std::uint64_t> RecordedSteps<Dtype>::ConditionOf(const Span& span) const {
  vector<std::uint64_t> condition = {device::GraphContext()};
  const auto add_shape = [&](const Blob<Dtype>& blob) {
    condition.push_back(blob.num_axes());
    condition.insert(condition.end(), blob.shape().begin(), blob.shape().end());
  };
  for (const Blob<Dtype>* blob : span.blobs) add_shape(*blob);
  for (Layer<Dtype>* layer : span.layers) {
    for (const auto& param : layer->blobs()) {
      add_shape(*param);
      if (!HasMemory(*param)) continue;
      condition.push_back(reinterpret_cast<std::uintptr_t>(param->data().get()));
      condition.push_back(param->data()->version());
    }
  }
  return condition;
}

template <typename Dtype>
vector<const SyncedMemory*> RecordedSteps<Dtype>::MemoriesOf(const Span& span) const {
  vector<const SyncedMemory*> memories;
  for (const Blob<Dtype>* blob : span.blobs) {
    memories.push_back(HasMemory(*blob) ? blob->data().get() : nullptr);
  }
  return memories;
}

template <typename Dtype>
int RecordedSteps<Dtype>::Run(int first, const std::function<void(int)>& run,
                              const std::function<void(int)>& after) {
  if (starts_[first] < 0) return 0;
  Span& span = spans_[starts_[first]];
  if (span.failed) return 0;
  vector<std::uint64_t> condition = ConditionOf(span);
  if (condition != span.condition) {
    Forget(&span);
    span.condition = std::move(condition);
  }
  if (span.recorded) {
    if (Replay(after, &span)) return span.end - span.begin;
    Forget(&span);
  }
  if (++span.equal_runs < kRecordedRun || !Record(run, &span)) return 0;
  return span.end - span.begin;
}

// Memories and not blobs: several may share one.
template <typename Dtype>
vector<typename RecordedSteps<Dtype>::Kept> RecordedSteps<Dtype>::InputsOf(
    const Span& span) const {
  vector<Kept> inputs;
  std::set<const SyncedMemory*> seen;
  for (size_t i = 0; i < span.blobs.size(); ++i) {
    if (!HasMemory(*span.blobs[i])) continue;
    const shared_ptr<SyncedMemory>& memory = span.blobs[i]->data();
    if (!seen.insert(memory.get()).second || span.is_top[i]) continue;
    inputs.push_back({.memory = memory, .is_input = true});
  }
  return inputs;
}

template <typename Dtype>
bool RecordedSteps<Dtype>::Record(const std::function<void(int)>& run, Span* span) {
  vector<Kept> kept = InputsOf(*span);
  for (Kept& input : kept) {
    if (input.memory->discarded()) return false;  // which the steps will say
    if (IsPackedOnDevice(*input.memory)) continue;
    // Converted copies are of this run's values alone: the conversion has to be recorded.
    input.memory->gpu_data();
    input.memory->KeepPlainOnly();
  }
  for (Kept& input : kept) {
    input.before = input.memory->device_copies();
    input.memory->HoldDevice();
  }
  std::map<shared_ptr<SyncedMemory>, std::uint64_t> versions;
  for (const Blob<Dtype>* blob : span->blobs) {
    if (HasMemory(*blob)) versions[blob->data()] = blob->data()->version();
  }
  try {
    span->recorded = std::make_unique<device::Graph>([&] {
      for (int s = span->begin; s < span->end; ++s) run(s);
    });
    if (!span->recorded->Launch()) throw RuntimeFailure("the GPU is full");
  } catch (const std::exception& error) {
    LOG(WARNING) << "net '" << graph_.name << "': " << NamesOf(*span)
                 << " cannot be recorded as a CUDA graph and run one by one: "
                 << error.what();
    span->recorded.reset();
    span->failed = true;
    // Nothing has run, so that the values are there still.
    for (Kept& input : kept) {
      if (input.before.head == SyncedMemory::SYNCED) {
        input.before.head = SyncedMemory::HEAD_AT_GPU;
      }
      input.memory->DeviceWrote(input.before);
      input.memory->ReleaseDevice();
    }
    return false;
  }
  for (Kept& input : kept) {
    const auto version = versions.find(input.memory);
    input.is_written =
        !input.memory->discarded() && input.memory->version() != version->second;
    input.after = input.memory->device_copies();
    versions.erase(version);
  }
  for (const auto& [memory, version] : versions) {
    if (memory->discarded() || memory->version() == version) continue;
    memory->HoldDevice();
    kept.push_back({.memory = memory,
                    .is_input = false,
                    .is_written = true,
                    .after = memory->device_copies()});
  }
  span->kept = std::move(kept);
  span->memories = MemoriesOf(*span);
  LOG(INFO) << "net '" << graph_.name << "': " << NamesOf(*span)
            << " run as one CUDA graph of " << span->recorded->size() << " operations";
  return true;
}

template <typename Dtype>
bool RecordedSteps<Dtype>::Replay(const std::function<void(int)>& after, Span* span) {
  if (MemoriesOf(*span) != span->memories) return false;
  for (const Kept& kept : span->kept) {
    if (kept.is_input && !BringTo(kept.before, kept.memory.get())) return false;
    const bool has_plain =
        kept.is_written && kept.after.head != SyncedMemory::HEAD_PACKED;
    if (has_plain && kept.memory->device_copies().plain != kept.after.plain) return false;
  }
  if (!span->recorded->Launch()) return false;
  for (const Kept& kept : span->kept) {
    if (kept.is_written) {
      kept.memory->DeviceWrote(kept.after);
    } else if (kept.after.packed && kept.memory->packed() != kept.after.packed) {
      kept.memory->cache_packed(kept.after.packed);
    }
  }
  for (int s = span->begin; s < span->end; ++s) after(s);
  return true;
}

template <typename Dtype>
void RecordedSteps<Dtype>::Forget(Span* span) {
  span->recorded.reset();
  for (const Kept& kept : span->kept) kept.memory->ReleaseDevice();
  span->kept.clear();
  span->equal_runs = 0;
}

template <typename Dtype>
string RecordedSteps<Dtype>::NamesOf(const Span& span) const {
  return Str("layers '", graph_.layer_names[first_layers_[span.begin]], "' to '",
             graph_.layer_names[last_layers_[span.end - 1]], "'");
}

INSTANTIATE_CLASS(RecordedSteps);

}  // namespace caffe
