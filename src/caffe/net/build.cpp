#include "caffe/net/build.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caffe/net/layer_errors.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

void FilterLayers(const NetParameter& param, NetParameter* filtered) {
  const NetState net_state(param.state());
  filtered->CopyFrom(param);
  filtered->clear_layer();
  for (const LayerParameter& layer_param : param.layer()) {
    const string& layer_name = layer_param.name();
    if (layer_param.include_size() > 0 && layer_param.exclude_size() > 0) {
      throw ValueError(NameOf(layer_param),
                       "it has both include and exclude rules, expected one kind");
    }
    bool included = layer_param.include_size() == 0;
    for (const NetStateRule& rule : layer_param.exclude()) {
      if (MeetsRule(net_state, rule, layer_name)) included = false;
    }
    for (const NetStateRule& rule : layer_param.include()) {
      if (MeetsRule(net_state, rule, layer_name)) included = true;
    }
    if (included) filtered->add_layer()->CopyFrom(layer_param);
  }
}

bool MeetsRule(const NetState& state, const NetStateRule& rule,
               const string& layer_name) {
  const auto has_stage = [&state](const string& wanted) {
    return std::find(state.stage().begin(), state.stage().end(), wanted) !=
           state.stage().end();
  };
  const char* reason = nullptr;
  if (rule.has_phase() && rule.phase() != state.phase()) reason = "phase";
  if (rule.has_min_level() && state.level() < rule.min_level()) reason = "min_level";
  if (rule.has_max_level() && state.level() > rule.max_level()) reason = "max_level";
  for (const string& stage : rule.stage()) {
    if (!has_stage(stage)) reason = "stage";
  }
  for (const string& stage : rule.not_stage()) {
    if (has_stage(stage)) reason = "not_stage";
  }
  LOG_IF(INFO, reason && Caffe::root_solver())
      << "The NetState does not meet the rule of layer " << layer_name << ": " << reason;
  return !reason;
}

namespace {

template <typename Dtype>
class Builder {
 public:
  Builder(NetParameter param, Graph<Dtype>* graph)
      : param_(std::move(param)), graph_(*graph) {}

  void Run() {
    const int num_layers = param_.layer_size();
    graph_.name = param_.name();
    graph_.phase = param_.state().phase();
    graph_.bottom_vecs.resize(num_layers);
    graph_.top_vecs.resize(num_layers);
    graph_.bottom_ids.resize(num_layers);
    graph_.top_ids.resize(num_layers);
    graph_.param_ids.resize(num_layers);
    graph_.bottom_need_backward.resize(num_layers);
    for (int i = 0; i < num_layers; ++i) {
      LayerParameter& layer_param = *param_.mutable_layer(i);
      if (!layer_param.has_phase()) layer_param.set_phase(graph_.phase);
      try {
        SetUpLayer(i, layer_param);
      } catch (Error& error) {
        RethrowFor(graph_, layer_param, &error);
      }
    }
    FindBackwardLayers();
    if (param_.force_backward()) ForceBackward();
    FindOutputs();
    ShareParams(graph_);
  }

 private:
  void SetUpLayer(int layer_id, const LayerParameter& layer_param);
  int AppendBottom(int layer_id, int bottom_id, const LayerParameter& layer_param);
  void AppendTop(int layer_id, int top_id, const LayerParameter& layer_param);
  int AppendBlob(int layer_id, const string& name);
  void AppendParams(int layer_id);
  void AppendParam(int layer_id, int param_id);
  void FindBackwardLayers();
  void ForceBackward();
  void FindOutputs();

  NetParameter param_;
  Graph<Dtype>& graph_;
  map<string, int> newest_;  ///< blobs by name
  set<string> available_;    ///< blobs that nobody has read yet
};

template <typename Dtype>
void Builder<Dtype>::SetUpLayer(int layer_id, const LayerParameter& layer_param) {
  if (layer_param.propagate_down_size() > 0 &&
      layer_param.propagate_down_size() != layer_param.bottom_size()) {
    throw ValueError(Str(layer_param.propagate_down_size(),
                         " propagate_down value(s), expected ", layer_param.bottom_size(),
                         ", one for every bottom, or none"));
  }
  graph_.layers.push_back(LayerRegistry<Dtype>::CreateLayer(layer_param));
  graph_.layer_names.push_back(layer_param.name());
  graph_.layer_index[layer_param.name()] = layer_id;
  if (layer_param.type() == "Split") {
    const string& source = layer_param.bottom(0);
    const auto known = graph_.split_blobs.find(source);
    const string name = known == graph_.split_blobs.end() ? source : known->second;
    for (const string& top : layer_param.top()) graph_.split_blobs[top] = name;
  }
  Layer<Dtype>* layer = graph_.layers[layer_id].get();
  LayerOptions options;
  options.precision = param_.precision();
  layer->Prepare(options);
  LOG_IF(INFO, Caffe::root_solver()) << "Creating Layer " << layer_param.name();

  bool need_backward = false;
  for (int i = 0; i < layer_param.bottom_size(); ++i) {
    const int blob_id = AppendBottom(layer_id, i, layer_param);
    need_backward |= graph_.blob_need_backward[blob_id];
  }
  for (int i = 0; i < layer_param.top_size(); ++i) {
    AppendTop(layer_id, i, layer_param);
    if (layer_param.type() == "Input") {
      graph_.input_ids.push_back(static_cast<int>(graph_.blobs.size()) - 1);
      graph_.inputs.push_back(graph_.blobs.back().get());
    }
  }
  if (layer->AutoTopBlobs()) {
    const int needed = std::max(layer->MinTopBlobs(), layer->ExactNumTopBlobs());
    // Anonymous: not entered in the maps, so nothing can read them.
    for (int i = layer_param.top_size(); i < needed; ++i)
      AppendBlob(layer_id, "(automatic)");
  }

  layer->SetUp(graph_.bottom_vecs[layer_id], graph_.top_vecs[layer_id]);
  LOG_IF(INFO, Caffe::root_solver()) << "Setting up " << layer_param.name();
  for (size_t i = 0; i < graph_.top_vecs[layer_id].size(); ++i) {
    graph_.blob_loss_weights[graph_.top_ids[layer_id][i]] = layer->loss(i);
    if (!Caffe::root_solver()) continue;
    LOG(INFO) << "Top shape: " << graph_.top_vecs[layer_id][i]->shape_string();
    LOG_IF(INFO, layer->loss(i)) << "    with loss weight " << layer->loss(i);
  }
  AppendParams(layer_id);
  for (size_t i = 0; i < layer->blobs().size(); ++i) {
    need_backward |= layer->param_propagate_down(i);
  }
  graph_.layer_need_backward.push_back(need_backward);
  if (!need_backward) return;
  for (int blob_id : graph_.top_ids[layer_id]) graph_.blob_need_backward[blob_id] = true;
}

template <typename Dtype>
int Builder<Dtype>::AppendBottom(int layer_id, int bottom_id,
                                 const LayerParameter& layer_param) {
  const string& name = layer_param.bottom(bottom_id);
  if (!available_.count(name)) {
    throw ValueError(Str("bottom[", bottom_id, "]: unknown blob '", name, "'"));
  }
  const int blob_id = newest_[name];
  LOG_IF(INFO, Caffe::root_solver()) << layer_param.name() << " <- " << name;
  graph_.bottom_vecs[layer_id].push_back(graph_.blobs[blob_id].get());
  graph_.bottom_ids[layer_id].push_back(blob_id);
  available_.erase(name);
  graph_.bottom_need_backward[layer_id].push_back(
      layer_param.propagate_down_size() > 0
          ? layer_param.propagate_down(bottom_id)
          : static_cast<bool>(graph_.blob_need_backward[blob_id]));
  return blob_id;
}

template <typename Dtype>
void Builder<Dtype>::AppendTop(int layer_id, int top_id,
                               const LayerParameter& layer_param) {
  const string& name = layer_param.top(top_id);
  available_.insert(name);
  if (layer_param.bottom_size() > top_id && name == layer_param.bottom(top_id)) {
    const int blob_id = newest_[name];
    LOG_IF(INFO, Caffe::root_solver())
        << layer_param.name() << " -> " << name << " (in-place)";
    const bool is_input =
        std::count(graph_.input_ids.begin(), graph_.input_ids.end(), blob_id) > 0;
    LOG_IF(WARNING, is_input && Caffe::root_solver())
        << NameOf(layer_param) << " works in place on input '" << name
        << "': Forward leaves its result there, so fill the input before every Forward";
    graph_.top_vecs[layer_id].push_back(graph_.blobs[blob_id].get());
    graph_.top_ids[layer_id].push_back(blob_id);
    return;
  }
  if (newest_.count(name)) {
    throw ValueError(Str("top[", top_id, "]: blob '", name,
                         "' is produced by an earlier layer already; give it another "
                         "name, or make the layer in-place by naming the blob as the "
                         "bottom at the same position"));
  }
  LOG_IF(INFO, Caffe::root_solver()) << layer_param.name() << " -> " << name;
  newest_[name] = AppendBlob(layer_id, name);
}

// A new top of the layer.
template <typename Dtype>
int Builder<Dtype>::AppendBlob(int layer_id, const string& name) {
  const int blob_id = static_cast<int>(graph_.blobs.size());
  graph_.blobs.push_back(std::make_shared<Blob<Dtype>>());
  graph_.blob_names.push_back(name);
  graph_.blob_index[name] = blob_id;
  graph_.blob_need_backward.push_back(false);
  graph_.blob_loss_weights.push_back(Dtype(0));
  graph_.top_ids[layer_id].push_back(blob_id);
  graph_.top_vecs[layer_id].push_back(graph_.blobs.back().get());
  return blob_id;
}

template <typename Dtype>
void Builder<Dtype>::AppendParams(int layer_id) {
  Layer<Dtype>* layer = graph_.layers[layer_id].get();
  // A layer may fix the rates of its own blobs in LayerSetUp.
  const LayerParameter& layer_param = layer->layer_param();
  const int num_params = static_cast<int>(layer->blobs().size());
  const int num_given = param_.layer(layer_id).param_size();
  if (num_given > num_params) {
    throw ValueError(Str(num_given, " param block(s), expected at most ", num_params,
                         ", one for every parameter blob"));
  }
  const ParamSpec default_spec;
  for (int i = 0; i < num_params; ++i) {
    const ParamSpec& spec =
        i < layer_param.param_size() ? layer_param.param(i) : default_spec;
    layer->set_param_propagate_down(i, spec.lr_mult() != 0);
  }
  for (int i = 0; i < num_params; ++i) AppendParam(layer_id, i);
}

template <typename Dtype>
void Builder<Dtype>::AppendParam(int layer_id, int param_id) {
  Layer<Dtype>* layer = graph_.layers[layer_id].get();
  const LayerParameter& layer_param = layer->layer_param();
  const ParamSpec default_spec;
  const ParamSpec& spec =
      param_id < layer_param.param_size() ? layer_param.param(param_id) : default_spec;
  const string& param_name = spec.name();
  graph_.param_display_names.push_back(param_name.empty() ? Str(param_id) : param_name);
  const int net_param_id = static_cast<int>(graph_.params.size());
  graph_.params.push_back(layer->blobs()[param_id]);
  graph_.param_ids[layer_id].push_back(net_param_id);
  graph_.param_layer_indices.push_back(make_pair(layer_id, param_id));

  const auto owner_entry = graph_.param_names_index.find(param_name);
  if (param_name.empty() || owner_entry == graph_.param_names_index.end()) {
    graph_.param_owners.push_back(-1);
    if (!param_name.empty()) graph_.param_names_index[param_name] = net_param_id;
    graph_.learnable_param_ids.push_back(
        static_cast<int>(graph_.learnable_params.size()));
    graph_.learnable_params.push_back(graph_.params[net_param_id].get());
    graph_.has_params_lr.push_back(spec.has_lr_mult());
    graph_.has_params_decay.push_back(spec.has_decay_mult());
    graph_.params_lr.push_back(spec.lr_mult());
    graph_.params_weight_decay.push_back(spec.decay_mult());
    return;
  }

  // The name is known: this blob shares the memory of the one that named it first.
  const int owner_net_param_id = owner_entry->second;
  graph_.param_owners.push_back(owner_net_param_id);
  // Lambdas of C++20 may use these names, but clang 14 does not let them use bindings.
  const auto place = graph_.param_layer_indices[owner_net_param_id];
  const int owner_layer_id = place.first, owner_param_id = place.second;
  const Blob<Dtype>& own = *layer->blobs()[param_id];
  const Blob<Dtype>& owner = *graph_.layers[owner_layer_id]->blobs()[owner_param_id];
  const bool permissive = spec.share_mode() == ParamSpec_DimCheckMode_PERMISSIVE;
  if (permissive ? own.count() != owner.count() : own.shape() != owner.shape()) {
    throw ValueError(Str("parameter '", param_name, "' cannot be shared with layer '",
                         graph_.layer_names[owner_layer_id], "': shape ",
                         ShapeText(own.shape()), ", expected ", ShapeText(owner.shape()),
                         permissive
                             ? " or one of equal count"
                             : "; share_mode: PERMISSIVE accepts shapes of equal count"));
  }
  const int learnable_id = graph_.learnable_param_ids[owner_net_param_id];
  graph_.learnable_param_ids.push_back(learnable_id);
  const auto merge = [&](const char* what, bool given, float value, vector<bool>* has,
                         vector<float>* values) {
    if (!given) return;
    if ((*has)[learnable_id] && (*values)[learnable_id] != value) {
      throw ValueError(Str("parameter '", param_name, "' is shared and has ", what, " ",
                           value, ", expected ", (*values)[learnable_id],
                           " as in layer '", graph_.layer_names[owner_layer_id], "'"));
    }
    (*has)[learnable_id] = true;
    (*values)[learnable_id] = value;
  };
  merge("lr_mult", spec.has_lr_mult(), spec.lr_mult(), &graph_.has_params_lr,
        &graph_.params_lr);
  merge("decay_mult", spec.has_decay_mult(), spec.decay_mult(), &graph_.has_params_decay,
        &graph_.params_weight_decay);
}

// Walks back from the losses: a layer runs backward only if its result enters
// the objective and something before it learns.
template <typename Dtype>
void Builder<Dtype>::FindBackwardLayers() {
  vector<bool> under_loss(graph_.blobs.size()), skipped(graph_.blobs.size());
  for (int i = static_cast<int>(graph_.layers.size()) - 1; i >= 0; --i) {
    const vector<int>&bottoms = graph_.bottom_ids[i], &tops = graph_.top_ids[i];
    bool contributes = false, all_skipped = true;
    for (size_t t = 0; t < tops.size(); ++t) {
      contributes = contributes || graph_.layers[i]->loss(t) || under_loss[tops[t]];
      all_skipped = all_skipped && skipped[tops[t]];
    }
    vector<bool>& bottom_needs = graph_.bottom_need_backward[i];
    const bool needs = graph_.layer_need_backward[i];
    if (!contributes || (needs && all_skipped))
      bottom_needs.assign(bottoms.size(), false);
    graph_.layer_need_backward[i] = needs && contributes && !all_skipped;
    LOG_IF(INFO, Caffe::root_solver())
        << graph_.layer_names[i]
        << (graph_.layer_need_backward[i] ? " needs backward computation."
                                          : " does not need backward computation.");
    for (size_t b = 0; b < bottoms.size(); ++b) {
      if (contributes) under_loss[bottoms[b]] = true;
      if (!bottom_needs[b]) skipped[bottoms[b]] = true;
    }
  }
}

template <typename Dtype>
void Builder<Dtype>::ForceBackward() {
  for (size_t layer_id = 0; layer_id < graph_.layers.size(); ++layer_id) {
    Layer<Dtype>& layer = *graph_.layers[layer_id];
    graph_.layer_need_backward[layer_id] = true;
    for (size_t i = 0; i < graph_.bottom_ids[layer_id].size(); ++i) {
      if (!layer.AllowForceBackward(i) && !graph_.bottom_need_backward[layer_id][i])
        continue;
      graph_.bottom_need_backward[layer_id][i] = true;
      graph_.blob_need_backward[graph_.bottom_ids[layer_id][i]] = true;
    }
    for (size_t i = 0; i < layer.blobs().size(); ++i) {
      layer.set_param_propagate_down(i, true);
    }
  }
}

// In alphabetical order, as Caffe.
template <typename Dtype>
void Builder<Dtype>::FindOutputs() {
  graph_.is_result.assign(graph_.blobs.size(), false);
  for (const string& name : available_) {
    LOG_IF(INFO, Caffe::root_solver()) << "This network produces output " << name;
    const int blob_id = newest_[name];
    graph_.outputs.push_back(graph_.blobs[blob_id].get());
    graph_.output_ids.push_back(blob_id);
    graph_.is_result[blob_id] = true;
  }
  for (size_t i = 0; i < graph_.blobs.size(); ++i) {
    if (graph_.blob_loss_weights[i]) graph_.is_result[i] = true;
  }
}

}  // namespace

template <typename Dtype>
void BuildGraph(NetParameter param, Graph<Dtype>* graph) {
  Builder<Dtype>(std::move(param), graph).Run();
}

template <typename Dtype>
void ShareParams(const Graph<Dtype>& graph) {
  for (size_t i = 0; i < graph.params.size(); ++i) {
    if (graph.param_owners[i] < 0) continue;
    graph.params[i]->ShareData(*graph.params[graph.param_owners[i]]);
    graph.params[i]->ShareDiff(*graph.params[graph.param_owners[i]]);
  }
}

template void BuildGraph(NetParameter, Graph<float>*);
template void BuildGraph(NetParameter, Graph<double>*);
template void ShareParams(const Graph<float>&);
template void ShareParams(const Graph<double>&);

}  // namespace caffe
