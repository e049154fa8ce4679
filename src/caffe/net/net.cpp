#include "caffe/net.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caffe/net/build.hpp"
#include "caffe/net/debug_info.hpp"
#include "caffe/net/layer_errors.hpp"
#include "caffe/net/overwritten_data.hpp"
#include "caffe/net/scaled_losses.hpp"
#include "caffe/net/schedule.hpp"
#include "caffe/net/weights.hpp"
#include "caffe/proto/check_numbers.hpp"
#include "caffe/util/allowed_cores.hpp"
#include "caffe/util/closest.hpp"
#include "caffe/util/insert_splits.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/shared_machine.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"
#include "caffe/util/zero_denormals.hpp"

namespace caffe {
namespace {

// A loss layer without loss weights takes 1 for its loss. One whose weights InsertSplits
// has moved behind a Split would count twice: it gets zeros.
void KeepMovedWeightsMoved(const NetParameter& written, NetParameter* split) {
  int next = 0;
  for (LayerParameter& layer : *split->mutable_layer()) {
    if (next == written.layer_size()) return;
    const LayerParameter& former = written.layer(next);
    if (layer.name() != former.name() || layer.type() != former.type()) continue;
    ++next;
    while (layer.loss_weight_size() < former.loss_weight_size()) layer.add_loss_weight(0);
  }
}

void CheckPrecision(NetParameter::Precision precision) {
  const bool anywhere =
      precision == NetParameter::FLOAT32 || precision == NetParameter::BF16;
  if (anywhere || Caffe::mode() == Caffe::GPU) return;
  throw ValueError(Str("precision ", NetParameter::Precision_Name(precision),
                       " is for GPUs, and the mode is CPU, which has FLOAT32 and BF16; "
                       "choose one of those, or a GPU"));
}

}  // namespace

// build.cpp makes the graph, passes/ the schedules that run it.
template <typename Dtype>
Net<Dtype>::Net(const NetParameter& param) {
  Init(param);
}

template <typename Dtype>
Net<Dtype>::Net(const string& param_file, Phase phase, const int level,
                const vector<string>* stages) {
  NetParameter param;
  ReadNetParamsFromTextFileOrDie(param_file, &param);
  param.mutable_state()->set_phase(phase);
  if (stages) {
    for (const string& stage : *stages) param.mutable_state()->add_stage(stage);
  }
  param.mutable_state()->set_level(level);
  try {
    Init(param);
  } catch (Error& error) {
    error.Prefix(param_file);
    throw;
  }
}

template <typename Dtype>
Net<Dtype>::~Net() = default;

template <typename Dtype>
void Net<Dtype>::Init(const NetParameter& in_param) {
  UseAllowedCores();
  NetParameter upgraded(in_param);
  UpgradeNetAsNeeded("<memory>", &upgraded);
  SplitScaledBatchNorms(&upgraded);
  NetParameter filtered;
  FilterLayers(upgraded, &filtered);
  LOG_IF(INFO, Caffe::root_solver()) << "Initializing net from parameters: " << std::endl
                                     << filtered.DebugString();
  // Before loss weights move to Split layers, which nobody has written.
  for (const LayerParameter& layer : filtered.layer()) CheckNumbers(layer, NameOf(layer));
  NetParameter param;
  InsertSplits(filtered, &param);
  KeepMovedWeightsMoved(filtered, &param);
  debug_info_ = param.debug_info();
  precision_ = param.precision();
  BuildGraph(std::move(param), &graph_);
  PrepareLayers();
  LOG_IF(INFO, Caffe::root_solver()) << "Network initialization done.";
}

// A top is preserved unless a later layer works in place on it, or on a blob that
// shares its memory. What the layers say they read depends on it.
template <typename Dtype>
void Net<Dtype>::PrepareLayers() {
  graph_.Refresh();
  const int num_layers = static_cast<int>(graph_.layers.size());
  vector<int> last_writer(graph_.blobs.size(), 0);
  for (int i = 0; i < num_layers; ++i) {
    for (int top : graph_.top_ids[i]) {
      if (!graph_.IsView(i, top)) last_writer[graph_.roots[top]] = i;
    }
  }
  for (int i = 0; i < num_layers; ++i) {
    LayerOptions options;
    options.precision = precision_;
    options.runs_backward = graph_.layer_need_backward[i];
    for (int top : graph_.top_ids[i]) {
      options.top_preserved.push_back(last_writer[graph_.roots[top]] <= i);
    }
    graph_.layers[i]->Prepare(options);
  }
  graph_.Refresh();
  overwritten_data_ = std::make_unique<OverwrittenData<Dtype>>(graph_);
}

template <typename Dtype>
void Net<Dtype>::set_precision(NetParameter::Precision value) {
  if (value == precision_) return;
  precision_ = value;
  if (whole_) whole_->ForgetRecorded();
  PrepareLayers();
  Reshape();
}

template <typename Dtype>
void Net<Dtype>::Optimize() {
  if (graph_.phase != TEST) {
    throw ValueError(Str("net '", graph_.name,
                         "' is in phase TRAIN, expected TEST: only "
                         "inference can be optimised"));
  }
  optimized_ = true;
  schedule().EndForward();
}

template <typename Dtype>
bool Net<Dtype>::optimized() const {
  return optimized_ && !IsLookedAt();
}

template <typename Dtype>
bool Net<Dtype>::IsLookedAt() const {
  if (debug_info_) return true;
  for (const auto* callbacks :
       {&before_forward_, &after_forward_, &before_backward_, &after_backward_}) {
    for (const Callback* callback : *callbacks) {
      if (callback->reads_blobs()) return true;
    }
  }
  return false;
}

template <typename Dtype>
Schedule<Dtype>& Net<Dtype>::schedule() {
  const Policy policy = optimized()    ? Policy::kInference
                        : IsLookedAt() ? Policy::kPlain
                                       : Policy::kTraining;
  const bool frees =
      policy == Policy::kInference || (policy == Policy::kTraining && !keep_blobs_);
  if (whole_ && (whole_->policy() != policy || whole_->frees() != frees)) {
    if (!frees) whole_->RenewDiffs();
    whole_.reset();
  }
  if (policy == Policy::kPlain) return PlainSchedule();
  if (whole_) return *whole_;
  graph_.Refresh();
  // Nets that share weights mostly run in turns, and may free and take one memory; what
  // inference needs no more after a run goes back to the system.
  if (!pool_) pool_ = std::make_shared<HostMemoryPool>();
  whole_ = std::make_unique<Schedule<Dtype>>(
      graph_, policy, keep_blobs_, overwritten_data_->blobs(),
      policy == Policy::kInference ? std::make_shared<HostMemoryPool>() : pool_);
  return *whole_;
}

template <typename Dtype>
Schedule<Dtype>& Net<Dtype>::PlainSchedule() {
  if (!plain_) {
    plain_ = std::make_unique<Schedule<Dtype>>(graph_, Policy::kPlain, true,
                                               vector<int>(), nullptr);
  }
  return *plain_;
}

// What runs a range of layers.
template <typename Dtype>
Schedule<Dtype>& Net<Dtype>::ScheduleFor(bool whole, const string& asked) {
  if (whole) return schedule();
  if (optimized()) {
    throw RuntimeFailure(
        Str("net '", graph_.name,
            "' is optimised for inference and runs forward as a whole; asked for ", asked,
            "; make it without optimize=True (Net::Optimize) for that"));
  }
  return PlainSchedule();
}

template <typename Dtype>
void Net<Dtype>::Call(const vector<Callback*>& callbacks, int layer) {
  for (Callback* callback : callbacks) callback->run(layer);
}

template <typename Dtype>
Dtype Net<Dtype>::ForwardFromTo(int start, int end) {
  CHECK_GE(start, 0) << "the first layer has index 0";
  CHECK_LE(start, end + 1) << "the range begins behind its end";
  CHECK_LT(end, static_cast<int>(graph_.layers.size())) << "the net has no such layer";
  // All that a batch goes through: what comes before `start` holds the batch.
  const auto batch = graph_.bottom_ids.begin();
  const bool whole = end + 1 == static_cast<int>(graph_.layers.size()) &&
                     (start == 0 || !optimized()) &&
                     std::all_of(batch, batch + start,
                                 [](const auto& bottoms) { return bottoms.empty(); });
  CheckPrecision(precision_);
  UseAllowedCores();
  AdaptToMachine();
  Schedule<Dtype>& schedule = ScheduleFor(whole, Str("layers ", start, " to ", end));
  const bool infers = schedule.policy() == Policy::kInference;
  std::optional<ZeroDenormals> zero_denormals;
  if (infers) zero_denormals.emplace();
  const HostMemoryPool::Scope scope(schedule.pool());
  Dtype loss = 0;
  const auto run = [&](int s) {
    const vector<int>& layers = schedule.step(s).layers;
    if (layers.front() < start || layers.back() > end) return;
    for (int i : layers) Call(before_forward_, i);
    try {
      for (int i : layers) {
        if (!infers) overwritten_data_->BeforeForward(i);
        overwritten_data_->BeforeFill(i);
      }
      loss += schedule.operation(s).Forward();
      for (int i : layers) overwritten_data_->AfterFill(i);
    } catch (Error& error) {
      RethrowFor(graph_, infers ? layers.back() : layers.front(), &error);
    }
    if (debug_info_) LogForward(graph_, layers.front());
    for (int i : layers) Call(after_forward_, i);
    schedule.AfterForward(s);
  };
  const bool may_record = infers && Caffe::mode() == Caffe::GPU &&
                          before_forward_.empty() && after_forward_.empty();
  RecordedSteps<Dtype>* recorded = may_record ? schedule.recorded() : nullptr;
  const auto after = [&](int s) { schedule.AfterForward(s); };
  for (int s = 0; s < schedule.size();) {
    const int ran = recorded ? recorded->Run(s, run, after) : 0;
    if (ran == 0) run(s);
    s += std::max(ran, 1);
  }
  schedule.EndForward();
  Settle();
  return loss;
}

template <typename Dtype>
Dtype Net<Dtype>::ForwardFrom(int start) {
  return ForwardFromTo(start, static_cast<int>(graph_.layers.size()) - 1);
}

template <typename Dtype>
Dtype Net<Dtype>::ForwardTo(int end) {
  return ForwardFromTo(0, end);
}

template <typename Dtype>
const vector<Blob<Dtype>*>& Net<Dtype>::Forward(Dtype* loss) {
  const Dtype total = ForwardFromTo(0, static_cast<int>(graph_.layers.size()) - 1);
  if (loss) *loss = total;
  return graph_.outputs;
}

template <typename Dtype>
const vector<Blob<Dtype>*>& Net<Dtype>::Forward(const vector<Blob<Dtype>*>& bottom,
                                                Dtype* loss) {
  LOG_FIRST_N(WARNING, 1) << "Net::Forward(bottom, loss) is deprecated; fill the input "
                             "blobs, then call Net::Forward(loss)";
  CHECK_EQ(bottom.size(), graph_.inputs.size())
      << "one blob is needed for every input of the net";
  for (size_t i = 0; i < bottom.size(); ++i) graph_.inputs[i]->CopyFrom(*bottom[i]);
  return Forward(loss);
}

template <typename Dtype>
void Net<Dtype>::BackwardFromTo(int start, int end) {
  CHECK_GE(end, 0) << "the first layer has index 0";
  CHECK_LT(start, static_cast<int>(graph_.layers.size())) << "the net has no such layer";
  const bool whole =
      end == 0 && start + 1 == static_cast<int>(graph_.layers.size()) && !optimized();
  UseAllowedCores();
  Schedule<Dtype>& schedule = ScheduleFor(whole, "Backward");
  const HostMemoryPool::Scope scope(schedule.pool());
  const ScaledLosses<Dtype> scaled(graph_, loss_scale_);
  schedule.BeginBackward();
  for (int s = schedule.size() - 1; s >= 0; --s) {
    const vector<int>& layers = schedule.step(s).layers;
    if (layers.back() > start || layers.front() < end) continue;
    for (size_t k = layers.size(); k-- > 0;) Call(before_backward_, layers[k]);
    if (graph_.layer_need_backward[layers.front()]) {
      try {
        schedule.BeforeBackward(s);
        for (int i : layers) overwritten_data_->BeforeBackward(i);
        schedule.operation(s).Backward();
        for (int i : layers) overwritten_data_->AfterBackward(i);
      } catch (Error& error) {
        RethrowFor(graph_, layers.front(), &error);
      }
      if (debug_info_) LogBackward(graph_, layers.front());
    }
    for (size_t k = layers.size(); k-- > 0;) Call(after_backward_, layers[k]);
    schedule.AfterBackward(s);
  }
  schedule.EndBackward();
  Settle();
}

template <typename Dtype>
void Net<Dtype>::BackwardFrom(int start) {
  BackwardFromTo(start, 0);
}

template <typename Dtype>
void Net<Dtype>::BackwardTo(int end) {
  BackwardFromTo(static_cast<int>(graph_.layers.size()) - 1, end);
}

template <typename Dtype>
void Net<Dtype>::Backward() {
  BackwardFromTo(static_cast<int>(graph_.layers.size()) - 1, 0);
  if (debug_info_) LogParams(graph_);
}

template <typename Dtype>
void Net<Dtype>::Reshape() {
  for (int i = 0; i < static_cast<int>(graph_.layers.size()); ++i) {
    try {
      graph_.layers[i]->Reshape(graph_.bottom_vecs[i], graph_.top_vecs[i]);
    } catch (Error& error) {
      RethrowFor(graph_, i, &error);
    }
  }
}

template <typename Dtype>
void Net<Dtype>::ClearParamDiffs() {
  for (Blob<Dtype>* param : graph_.learnable_params) {
    if (Caffe::mode() == Caffe::GPU) {
      caffe_gpu_set(param->count(), Dtype(0), param->mutable_gpu_diff());
      continue;
    }
    Dtype* diff = static_cast<Dtype*>(param->diff()->overwrite_cpu_data());
    caffe_memset(param->count() * sizeof(Dtype), 0, diff);
  }
}

template <typename Dtype>
void Net<Dtype>::Update() {
  for (Blob<Dtype>* param : graph_.learnable_params) param->Update();
}

template <typename Dtype>
void Net<Dtype>::Settle() const {
  for (const auto& blob : graph_.blobs) blob->Settle();
  for (const auto& blob : graph_.params) blob->Settle();
}

template <typename Dtype>
size_t Net<Dtype>::MemoryBytes() const {
  set<const SyncedMemory*> memories;
  for (const auto& blob : graph_.blobs) {
    if (blob->num_axes() == 0 && blob->count() == 0) continue;
    memories.insert(blob->data().get());
    memories.insert(blob->diff().get());
  }
  for (const auto& blob : graph_.params) {
    memories.insert(blob->data().get());
    memories.insert(blob->diff().get());
  }
  size_t total = 0;
  for (const SyncedMemory* memory : memories) total += memory->allocated_bytes();
  return total;
}

template <typename Dtype>
void Net<Dtype>::ShareWeights() {
  ShareParams(graph_);
}

template <typename Dtype>
void Net<Dtype>::ShareTrainedLayersWith(const Net* other) {
  if (other->pool_ && pool_ != other->pool_) {
    pool_ = other->pool_;
    whole_.reset();
  }
  caffe::ShareWeights(*other, this);
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFrom(const NetParameter& param) {
  weights_report_ = CopyWeights(param, this);
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFrom(const string& trained_filename) {
  weights_report_ = CopyWeightsFromFile(trained_filename, this);
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFromBinaryProto(const string& trained_filename) {
  weights_report_ = CopyWeightsFromBinaryProto(trained_filename, this);
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFromHDF5(const string& trained_filename) {
  weights_report_ = CopyWeightsFromHDF5(trained_filename, this);
}

template <typename Dtype>
void Net<Dtype>::ToProto(NetParameter* param, bool write_diff) const {
  param->Clear();
  param->set_name(graph_.name);
  for (const auto& layer : graph_.layers) layer->ToProto(param->add_layer(), write_diff);
}

template <typename Dtype>
void Net<Dtype>::ToHDF5(const string& filename, bool write_diff) const {
  WriteWeightsToHDF5(*this, filename, write_diff);
}

template <typename Dtype>
void Net<Dtype>::FilterNet(const NetParameter& param, NetParameter* param_filtered) {
  FilterLayers(param, param_filtered);
}

template <typename Dtype>
bool Net<Dtype>::StateMeetsRule(const NetState& state, const NetStateRule& rule,
                                const string& layer_name) {
  return MeetsRule(state, rule, layer_name);
}

template <typename Dtype>
bool Net<Dtype>::has_blob(const string& blob_name) const {
  return graph_.blob_index.count(blob_name) > 0;
}

template <typename Dtype>
SharedResult<Blob<Dtype>> Net<Dtype>::blob_by_name(const string& blob_name) const {
  const auto found = graph_.blob_index.find(blob_name);
  if (found == graph_.blob_index.end()) {
    vector<string> known;  // but for the copies that Split made
    std::copy_if(graph_.blob_names.begin(), graph_.blob_names.end(),
                 std::back_inserter(known),
                 [&](const string& name) { return !graph_.split_blobs.count(name); });
    LOG(WARNING) << "Unknown blob name " << blob_name << " in net '" << graph_.name << "'"
                 << Suggestion(blob_name, known);
    return nullptr;
  }
  return SharedResult<Blob<Dtype>>(graph_.blobs[found->second]);
}

template <typename Dtype>
bool Net<Dtype>::has_layer(const string& layer_name) const {
  return graph_.LayerIndex(layer_name) >= 0;
}

template <typename Dtype>
SharedResult<Layer<Dtype>> Net<Dtype>::layer_by_name(const string& layer_name) const {
  const int index = graph_.LayerIndex(layer_name);
  if (index < 0) {
    vector<string> known;
    for (const auto& layer : graph_.layers) {
      if (layer->type() != string("Split")) known.push_back(layer->layer_param().name());
    }
    LOG(WARNING) << "Unknown layer name " << layer_name << " in net '" << graph_.name
                 << "'" << Suggestion(layer_name, known);
    return nullptr;
  }
  return SharedResult<Layer<Dtype>>(graph_.layers[index]);
}

INSTANTIATE_CLASS(Net);

}  // namespace caffe
