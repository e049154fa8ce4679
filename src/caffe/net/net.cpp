#include "caffe/net.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caffe/proto/check_numbers.hpp"
#include "caffe/util/closest.hpp"
#include "caffe/util/insert_splits.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"

// Construction of a Net from its description; net_run.cpp runs it, net_plans.cpp
// plans how, and net_weights.cpp moves weights in and out.

namespace caffe {

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

// Inside a handler only: the exception goes on its way.
template <typename Dtype>
void Net<Dtype>::RethrowFor(const LayerParameter& layer, Error* error) const {
  string message = error->message();
  // The copies that Split made are the blob that the prototxt names.
  for (const auto& [copy, name] : split_blobs_) {
    if (copy == name) continue;
    const string quoted = "'" + copy + "'";
    for (size_t at; (at = message.find(quoted)) != string::npos;) {
      message.replace(at, quoted.size(), "'" + name + "'");
    }
  }
  error->SetMessage(message);
  error->SetWho(NameOf(layer));
  throw;
}

template <typename Dtype>
void Net<Dtype>::Init(const NetParameter& in_param) {
  phase_ = in_param.state().phase();
  NetParameter upgraded_param(in_param);
  UpgradeNetAsNeeded("<memory>", &upgraded_param);
  SplitScaledBatchNorms(&upgraded_param);
  NetParameter filtered_param;
  FilterNet(upgraded_param, &filtered_param);
  if (Caffe::root_solver()) {
    LOG(INFO) << "Initializing net from parameters: " << std::endl
              << filtered_param.DebugString();
  }
  // Before loss weights move to Split layers, which nobody has written.
  for (const LayerParameter& layer : filtered_param.layer()) {
    CheckNumbers(layer, NameOf(layer));
  }
  NetParameter param;
  InsertSplits(filtered_param, &param);
  name_ = param.name();
  debug_info_ = param.debug_info();
  precision_ = param.precision();

  set<string> available_blobs;
  map<string, int> blob_name_to_idx;
  const int num_layers = param.layer_size();
  bottom_vecs_.resize(num_layers);
  top_vecs_.resize(num_layers);
  bottom_id_vecs_.resize(num_layers);
  param_id_vecs_.resize(num_layers);
  top_id_vecs_.resize(num_layers);
  bottom_need_backward_.resize(num_layers);
  for (int layer_id = 0; layer_id < num_layers; ++layer_id) {
    if (!param.layer(layer_id).has_phase()) {
      param.mutable_layer(layer_id)->set_phase(phase_);
    }
    try {
      SetUpLayer(param, layer_id, &available_blobs, &blob_name_to_idx);
    } catch (Error& error) {
      RethrowFor(param.layer(layer_id), &error);
    }
  }

  FindBackwardLayers();
  if (param.force_backward()) {
    for (size_t layer_id = 0; layer_id < layers_.size(); ++layer_id) {
      layer_need_backward_[layer_id] = true;
      for (size_t i = 0; i < bottom_need_backward_[layer_id].size(); ++i) {
        const bool forced = layers_[layer_id]->AllowForceBackward(i);
        bottom_need_backward_[layer_id][i] = bottom_need_backward_[layer_id][i] || forced;
        blob_need_backward_[bottom_id_vecs_[layer_id][i]] =
            blob_need_backward_[bottom_id_vecs_[layer_id][i]] ||
            bottom_need_backward_[layer_id][i];
      }
      for (size_t j = 0; j < layers_[layer_id]->blobs().size(); ++j) {
        layers_[layer_id]->set_param_propagate_down(j, true);
      }
    }
  }

  for (const string& blob_name : available_blobs) {
    if (Caffe::root_solver()) {
      LOG(INFO) << "This network produces output " << blob_name;
    }
    net_output_blobs_.push_back(blobs_[blob_name_to_idx[blob_name]].get());
    net_output_blob_indices_.push_back(blob_name_to_idx[blob_name]);
  }
  for (size_t i = 0; i < blob_names_.size(); ++i) blob_names_index_[blob_names_[i]] = i;
  for (size_t i = 0; i < layer_names_.size(); ++i)
    layer_names_index_[layer_names_[i]] = i;
  ShareWeights();
  AbsorbInPlaceLayers();
  TellLayers();
  if (Caffe::root_solver()) LOG(INFO) << "Network initialization done.";
}

template <typename Dtype>
void Net<Dtype>::SetUpLayer(const NetParameter& param, int layer_id,
                            set<string>* available_blobs,
                            map<string, int>* blob_name_to_idx) {
  const LayerParameter& layer_param = param.layer(layer_id);
  if (layer_param.propagate_down_size() > 0 &&
      layer_param.propagate_down_size() != layer_param.bottom_size()) {
    throw ValueError(Str(layer_param.propagate_down_size(),
                         " propagate_down value(s), expected ", layer_param.bottom_size(),
                         ", one for every bottom, or none"));
  }
  layers_.push_back(LayerRegistry<Dtype>::CreateLayer(layer_param));
  layer_names_.push_back(layer_param.name());
  if (layer_param.type() == "Split") {
    for (const string& top : layer_param.top()) {
      const string& source = layer_param.bottom(0);
      split_blobs_[top] = split_blobs_.count(source) ? split_blobs_[source] : source;
    }
  }
  Layer<Dtype>* layer = layers_[layer_id].get();
  LayerContext context;
  context.precision = precision_;
  layer->Prepare(context);
  if (Caffe::root_solver()) LOG(INFO) << "Creating Layer " << layer_param.name();

  bool need_backward = false;
  for (int bottom_id = 0; bottom_id < layer_param.bottom_size(); ++bottom_id) {
    const int blob_id =
        AppendBottom(param, layer_id, bottom_id, available_blobs, blob_name_to_idx);
    need_backward |= blob_need_backward_[blob_id];
  }
  int num_top = layer_param.top_size();
  for (int top_id = 0; top_id < num_top; ++top_id) {
    AppendTop(param, layer_id, top_id, available_blobs, blob_name_to_idx);
    if (layer_param.type() == "Input") {
      net_input_blob_indices_.push_back(static_cast<int>(blobs_.size()) - 1);
      net_input_blobs_.push_back(blobs_.back().get());
    }
  }
  if (layer->AutoTopBlobs()) {
    const int needed = std::max(layer->MinTopBlobs(), layer->ExactNumTopBlobs());
    for (; num_top < needed; ++num_top) {
      // Anonymous: not entered in the maps, so nothing can read it.
      AppendTop(param, layer_id, num_top, nullptr, nullptr);
    }
  }

  layer->SetUp(bottom_vecs_[layer_id], top_vecs_[layer_id]);
  if (Caffe::root_solver()) LOG(INFO) << "Setting up " << layer_names_[layer_id];
  for (size_t top_id = 0; top_id < top_vecs_[layer_id].size(); ++top_id) {
    const int blob_id = top_id_vecs_[layer_id][top_id];
    if (static_cast<int>(blob_loss_weights_.size()) <= blob_id) {
      blob_loss_weights_.resize(blob_id + 1, Dtype(0));
    }
    blob_loss_weights_[blob_id] = layer->loss(top_id);
    if (Caffe::root_solver()) {
      LOG(INFO) << "Top shape: " << top_vecs_[layer_id][top_id]->shape_string();
      if (layer->loss(top_id))
        LOG(INFO) << "    with loss weight " << layer->loss(top_id);
    }
  }

  const int param_size = layer_param.param_size();
  const int num_param_blobs = static_cast<int>(layer->blobs().size());
  if (param_size > num_param_blobs) {
    throw ValueError(Str(param_size, " param block(s), expected at most ",
                         num_param_blobs, ", one for every parameter blob"));
  }
  const ParamSpec default_spec;
  // A layer may fix the rates of its own blobs in LayerSetUp.
  const LayerParameter& effective = layer->layer_param();
  for (int param_id = 0; param_id < num_param_blobs; ++param_id) {
    const ParamSpec& spec =
        param_id < effective.param_size() ? effective.param(param_id) : default_spec;
    const bool learns = spec.lr_mult() != 0;
    need_backward |= learns;
    layer->set_param_propagate_down(param_id, learns);
  }
  for (int param_id = 0; param_id < num_param_blobs; ++param_id) {
    AppendParam(param, layer_id, param_id);
  }
  layer_need_backward_.push_back(need_backward);
  if (need_backward) {
    for (int blob_id : top_id_vecs_[layer_id]) blob_need_backward_[blob_id] = true;
  }
}

// Walks back from the losses: a layer runs backward only if its result enters
// the objective and something before it learns.
template <typename Dtype>
void Net<Dtype>::FindBackwardLayers() {
  set<string> under_loss;
  set<string> skip_backward;
  for (int layer_id = static_cast<int>(layers_.size()) - 1; layer_id >= 0; --layer_id) {
    bool contributes = false;
    bool all_skipped = true;
    for (size_t top_id = 0; top_id < top_vecs_[layer_id].size(); ++top_id) {
      const string& blob_name = blob_names_[top_id_vecs_[layer_id][top_id]];
      if (layers_[layer_id]->loss(top_id) || under_loss.count(blob_name))
        contributes = true;
      if (!skip_backward.count(blob_name)) all_skipped = false;
    }
    if (layer_need_backward_[layer_id] && all_skipped) {
      layer_need_backward_[layer_id] = false;
      std::fill(bottom_need_backward_[layer_id].begin(),
                bottom_need_backward_[layer_id].end(), false);
    }
    if (!contributes) layer_need_backward_[layer_id] = false;
    if (Caffe::root_solver()) {
      LOG(INFO) << layer_names_[layer_id]
                << (layer_need_backward_[layer_id]
                        ? " needs backward computation."
                        : " does not need backward computation.");
    }
    for (size_t i = 0; i < bottom_vecs_[layer_id].size(); ++i) {
      const string& blob_name = blob_names_[bottom_id_vecs_[layer_id][i]];
      if (contributes) {
        under_loss.insert(blob_name);
      } else {
        bottom_need_backward_[layer_id][i] = false;
      }
      if (!bottom_need_backward_[layer_id][i]) skip_backward.insert(blob_name);
    }
  }
}

template <typename Dtype>
void Net<Dtype>::FilterNet(const NetParameter& param, NetParameter* param_filtered) {
  const NetState net_state(param.state());
  param_filtered->CopyFrom(param);
  param_filtered->clear_layer();
  for (const LayerParameter& layer_param : param.layer()) {
    const string& layer_name = layer_param.name();
    if (layer_param.include_size() > 0 && layer_param.exclude_size() > 0) {
      throw ValueError(NameOf(layer_param),
                       "it has both include and exclude rules, expected one kind");
    }
    bool included = layer_param.include_size() == 0;
    for (const NetStateRule& rule : layer_param.exclude()) {
      if (StateMeetsRule(net_state, rule, layer_name)) included = false;
    }
    for (const NetStateRule& rule : layer_param.include()) {
      if (StateMeetsRule(net_state, rule, layer_name)) included = true;
    }
    if (included) param_filtered->add_layer()->CopyFrom(layer_param);
  }
}

template <typename Dtype>
bool Net<Dtype>::StateMeetsRule(const NetState& state, const NetStateRule& rule,
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
  if (reason && Caffe::root_solver()) {
    LOG(INFO) << "The NetState does not meet the rule of layer " << layer_name << ": "
              << reason;
  }
  return !reason;
}

template <typename Dtype>
void Net<Dtype>::AppendTop(const NetParameter& param, const int layer_id,
                           const int top_id, set<string>* available_blobs,
                           map<string, int>* blob_name_to_idx) {
  const LayerParameter& layer_param = param.layer(layer_id);
  const string blob_name =
      layer_param.top_size() > top_id ? layer_param.top(top_id) : "(automatic)";
  if (blob_name_to_idx && layer_param.bottom_size() > top_id &&
      blob_name == layer_param.bottom(top_id)) {
    if (Caffe::root_solver()) {
      LOG(INFO) << layer_param.name() << " -> " << blob_name << " (in-place)";
    }
    const int blob_id = (*blob_name_to_idx)[blob_name];
    if (Caffe::root_solver() && std::count(net_input_blob_indices_.begin(),
                                           net_input_blob_indices_.end(), blob_id)) {
      LOG(WARNING) << NameOf(layer_param) << " works in place on input '" << blob_name
                   << "': Forward leaves its result there, so fill the "
                   << "input before every Forward";
    }
    top_vecs_[layer_id].push_back(blobs_[blob_id].get());
    top_id_vecs_[layer_id].push_back(blob_id);
  } else if (blob_name_to_idx && blob_name_to_idx->count(blob_name)) {
    throw ValueError(
        Str("top[", top_id, "]: blob '", blob_name,
            "' is produced by an earlier layer already; give it another name, "
            "or make the layer in-place by naming the blob as the bottom at "
            "the same position"));
  } else {
    if (Caffe::root_solver()) LOG(INFO) << layer_param.name() << " -> " << blob_name;
    const int blob_id = static_cast<int>(blobs_.size());
    blobs_.push_back(std::make_shared<Blob<Dtype>>());
    blob_names_.push_back(blob_name);
    blob_need_backward_.push_back(false);
    if (blob_name_to_idx) (*blob_name_to_idx)[blob_name] = blob_id;
    top_id_vecs_[layer_id].push_back(blob_id);
    top_vecs_[layer_id].push_back(blobs_.back().get());
  }
  if (available_blobs) available_blobs->insert(blob_name);
}

template <typename Dtype>
int Net<Dtype>::AppendBottom(const NetParameter& param, const int layer_id,
                             const int bottom_id, set<string>* available_blobs,
                             map<string, int>* blob_name_to_idx) {
  const LayerParameter& layer_param = param.layer(layer_id);
  const string& blob_name = layer_param.bottom(bottom_id);
  if (!available_blobs->count(blob_name)) {
    throw ValueError(Str("bottom[", bottom_id, "]: unknown blob '", blob_name, "'"));
  }
  const int blob_id = (*blob_name_to_idx)[blob_name];
  if (Caffe::root_solver()) LOG(INFO) << layer_names_[layer_id] << " <- " << blob_name;
  bottom_vecs_[layer_id].push_back(blobs_[blob_id].get());
  bottom_id_vecs_[layer_id].push_back(blob_id);
  available_blobs->erase(blob_name);
  bool need_backward = blob_need_backward_[blob_id];
  if (layer_param.propagate_down_size() > 0) {
    need_backward = layer_param.propagate_down(bottom_id);
  }
  bottom_need_backward_[layer_id].push_back(need_backward);
  return blob_id;
}

template <typename Dtype>
void Net<Dtype>::AppendParam(const NetParameter&, const int layer_id,
                             const int param_id) {
  Layer<Dtype>* layer = layers_[layer_id].get();
  const LayerParameter& layer_param = layer->layer_param();
  const ParamSpec default_spec;
  const ParamSpec& spec =
      param_id < layer_param.param_size() ? layer_param.param(param_id) : default_spec;
  const string& param_name = spec.name();
  param_display_names_.push_back(param_name.empty() ? Str(param_id) : param_name);
  const int net_param_id = static_cast<int>(params_.size());
  params_.push_back(layer->blobs()[param_id]);
  param_id_vecs_[layer_id].push_back(net_param_id);
  param_layer_indices_.push_back(make_pair(layer_id, param_id));

  const auto owner_entry = param_names_index_.find(param_name);
  if (param_name.empty() || owner_entry == param_names_index_.end()) {
    param_owners_.push_back(-1);
    if (!param_name.empty()) param_names_index_[param_name] = net_param_id;
    learnable_param_ids_.push_back(static_cast<int>(learnable_params_.size()));
    learnable_params_.push_back(params_[net_param_id].get());
    has_params_lr_.push_back(spec.has_lr_mult());
    has_params_decay_.push_back(spec.has_decay_mult());
    params_lr_.push_back(spec.lr_mult());
    params_weight_decay_.push_back(spec.decay_mult());
    return;
  }

  // The name is known: this blob shares the memory of the one that named it first.
  const int owner_net_param_id = owner_entry->second;
  param_owners_.push_back(owner_net_param_id);
  const auto [owner_layer_id, owner_param_id] = param_layer_indices_[owner_net_param_id];
  const Blob<Dtype>& own = *layer->blobs()[param_id];
  const Blob<Dtype>& owner = *layers_[owner_layer_id]->blobs()[owner_param_id];
  const bool permissive = spec.share_mode() == ParamSpec_DimCheckMode_PERMISSIVE;
  if (permissive ? own.count() != owner.count() : own.shape() != owner.shape()) {
    throw ValueError(Str("parameter '", param_name, "' cannot be shared with layer '",
                         layer_names_[owner_layer_id], "': shape ",
                         ShapeText(own.shape()), ", expected ", ShapeText(owner.shape()),
                         permissive
                             ? " or one of equal count"
                             : "; share_mode: PERMISSIVE accepts shapes of equal count"));
  }
  const int learnable_id = learnable_param_ids_[owner_net_param_id];
  learnable_param_ids_.push_back(learnable_id);
  const auto merge = [&](const char* what, bool given, float value, vector<bool>* has,
                         vector<float>* values) {
    if (!given) return;
    if ((*has)[learnable_id] && (*values)[learnable_id] != value) {
      throw ValueError(Str("parameter '", param_name, "' is shared and has ", what, " ",
                           value, ", expected ", (*values)[learnable_id],
                           " as in layer '", layer_names_[owner_layer_id], "'"));
    }
    (*has)[learnable_id] = true;
    (*values)[learnable_id] = value;
  };
  merge("lr_mult", spec.has_lr_mult(), spec.lr_mult(), &has_params_lr_, &params_lr_);
  merge("decay_mult", spec.has_decay_mult(), spec.decay_mult(), &has_params_decay_,
        &params_weight_decay_);
}

template <typename Dtype>
void Net<Dtype>::ShareWeights() {
  for (size_t i = 0; i < params_.size(); ++i) {
    if (param_owners_[i] < 0) continue;
    params_[i]->ShareData(*params_[param_owners_[i]]);
    params_[i]->ShareDiff(*params_[param_owners_[i]]);
  }
}

template <typename Dtype>
bool Net<Dtype>::has_blob(const string& blob_name) const {
  return blob_names_index_.count(blob_name) > 0;
}

template <typename Dtype>
const shared_ptr<Blob<Dtype>> Net<Dtype>::blob_by_name(const string& blob_name) const {
  const auto found = blob_names_index_.find(blob_name);
  if (found == blob_names_index_.end()) {
    vector<string> known;  // but for the copies that Split made
    std::copy_if(blob_names_.begin(), blob_names_.end(), std::back_inserter(known),
                 [&](const string& name) { return !split_blobs_.count(name); });
    throw ValueError(Str("net '", name_, "' has no blob '", blob_name, "'",
                         Suggestion(blob_name, known)));
  }
  return blobs_[found->second];
}

template <typename Dtype>
bool Net<Dtype>::has_layer(const string& layer_name) const {
  return layer_names_index_.count(layer_name) > 0;
}

template <typename Dtype>
int Net<Dtype>::LayerIndex(const string& layer_name) const {
  const auto found = layer_names_index_.find(layer_name);
  return found == layer_names_index_.end() ? -1 : found->second;
}

template <typename Dtype>
const shared_ptr<Layer<Dtype>> Net<Dtype>::layer_by_name(const string& layer_name) const {
  const int index = LayerIndex(layer_name);
  if (index < 0) {
    vector<string> known;
    for (const auto& layer : layers_) {
      if (layer->type() != string("Split")) known.push_back(layer->layer_param().name());
    }
    throw ValueError(Str("net '", name_, "' has no layer '", layer_name, "'",
                         Suggestion(layer_name, known)));
  }
  return layers_[index];
}

// Members of this class are defined in four files; each instantiates its own.
#define INSTANTIATE_NET_SETUP(Dtype)                                                    \
  template Net<Dtype>::Net(const NetParameter&);                                        \
  template Net<Dtype>::Net(const string&, Phase, const int, const vector<string>*);     \
  template void Net<Dtype>::Init(const NetParameter&);                                  \
  template void Net<Dtype>::FilterNet(const NetParameter&, NetParameter*);              \
  template bool Net<Dtype>::StateMeetsRule(const NetState&, const NetStateRule&,        \
                                           const string&);                              \
  template void Net<Dtype>::ShareWeights();                                             \
  template bool Net<Dtype>::has_blob(const string&) const;                              \
  template const shared_ptr<Blob<Dtype>> Net<Dtype>::blob_by_name(const string&) const; \
  template bool Net<Dtype>::has_layer(const string&) const;                             \
  template int Net<Dtype>::LayerIndex(const string&) const;                             \
  template const shared_ptr<Layer<Dtype>> Net<Dtype>::layer_by_name(const string&)      \
      const;                                                                            \
  template void Net<Dtype>::RethrowFor(const LayerParameter&, Error*) const
INSTANTIATE_NET_SETUP(float);
INSTANTIATE_NET_SETUP(double);

}  // namespace caffe
