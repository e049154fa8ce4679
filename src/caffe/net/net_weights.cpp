#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/util/hdf5.hpp"
#include "caffe/util/input_file.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"

// Weights of a Net: shared with another net, read from and written to files.

namespace caffe {
namespace {

template <typename Dtype>
string ShapesText(const vector<shared_ptr<Blob<Dtype>>>& blobs) {
  string text;
  for (const auto& blob : blobs) {
    text += (text.empty() ? "" : ", ") + ShapeText(blob->shape());
  }
  return text;
}

void CheckCount(const char* what, int floats, int doubles, int expected) {
  const int stored = doubles > 0 ? doubles : floats;
  if (stored == expected) return;
  throw ValueError(Str("the file has ", stored, " ", what, " values, expected ", expected,
                       "; the file is damaged"));
}

}  // namespace

template <typename Dtype>
void Net<Dtype>::ShareTrainedLayersWith(const Net* other) {
  // Nets that share weights mostly run in turns.
  if (memory_plan_ && other->pool_ && pool_ != other->pool_) {
    pool_ = other->pool_;
    MakeMemoryPlan();
  }
  set<int> shared;
  for (int i = 0; i < static_cast<int>(other->layers().size()); ++i) {
    const string& source_name = other->layer_names()[i];
    const int target_id = LayerIndex(source_name);
    if (target_id < 0) {
      LOG(INFO) << "Ignoring source layer " << source_name;
      continue;
    }
    auto& source_blobs = other->layers()[i]->blobs();
    auto& target_blobs = layers_[target_id]->blobs();
    const auto fail = [&]() {
      throw ValueError(
          NameOf(layers_[target_id]->layer_param()),
          Str("it cannot share weights: the other net has ", source_blobs.size(),
              " blob(s) ", ShapesText(source_blobs), ", this one expects ",
              target_blobs.size(), " ", ShapesText(target_blobs)));
    };
    if (source_blobs.size() != target_blobs.size()) fail();
    for (size_t j = 0; j < target_blobs.size(); ++j) {
      if (target_blobs[j]->shape() != source_blobs[j]->shape()) fail();
      target_blobs[j]->ShareData(*source_blobs[j]);
      for (size_t id = 0; id < params_.size(); ++id) {
        if (params_[id] == target_blobs[j]) shared.insert(static_cast<int>(id));
      }
    }
  }
  // What shares a parameter with one of them by name goes along, owner or not.
  for (int id : shared) {
    const auto owner = [this](int param) {
      return param_owners_[param] < 0 ? param : param_owners_[param];
    };
    for (int other_id = 0; other_id < static_cast<int>(params_.size()); ++other_id) {
      if (owner(other_id) == owner(id) && !shared.count(other_id)) {
        params_[other_id]->ShareData(*params_[id]);
      }
    }
  }
}

// Throws unless the stored blobs of `source` fit layer `target_id`.
template <typename Dtype>
void Net<Dtype>::CheckStoredBlobs(const LayerParameter& source, int target_id) const {
  auto& target_blobs = layers_[target_id]->blobs();
  const string who = NameOf(layers_[target_id]->layer_param());
  if (static_cast<int>(target_blobs.size()) != source.blobs_size()) {
    throw ValueError(
        who, Str("the file has ", source.blobs_size(), " weight blob(s), expected ",
                 target_blobs.size(), " ", ShapesText(target_blobs),
                 "; rename the layer to train it from scratch"));
  }
  for (int j = 0; j < source.blobs_size(); ++j) {
    const BlobProto& stored = source.blobs(j);
    try {
      if (!target_blobs[j]->ShapeEquals(stored)) {
        Blob<Dtype> other;
        other.FromProto(stored);
        throw ValueError(Str("the file has shape ", ShapeText(other.shape()),
                             ", expected ", ShapeText(target_blobs[j]->shape()),
                             "; rename the layer to train it from scratch"));
      }
      CheckCount("data", stored.data_size(), stored.double_data_size(),
                 target_blobs[j]->count());
      if (stored.diff_size() > 0 || stored.double_diff_size() > 0) {
        CheckCount("diff", stored.diff_size(), stored.double_diff_size(),
                   target_blobs[j]->count());
      }
    } catch (Error& error) {
      error.Prefix(Str("weight blob ", j));
      error.SetWho(who);
      throw;
    }
  }
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFrom(const NetParameter& param) {
  // All are checked before the first is copied: a refused file changes nothing.
  for (const LayerParameter& source : param.layer()) {
    const int target_id = LayerIndex(source.name());
    if (target_id >= 0) CheckStoredBlobs(source, target_id);
  }
  for (const LayerParameter& source : param.layer()) {
    const int target_id = LayerIndex(source.name());
    if (target_id < 0) {
      LOG(INFO) << "Ignoring source layer " << source.name();
      continue;
    }
    for (int j = 0; j < source.blobs_size(); ++j) {
      layers_[target_id]->blobs()[j]->FromProto(source.blobs(j), false);
    }
  }
  set<string> stored;
  for (const LayerParameter& source : param.layer()) {
    if (source.blobs_size() > 0) stored.insert(source.name());
  }
  ReportWeights(stored);
}

template <typename Dtype>
void Net<Dtype>::ReportWeights(const set<string>& stored) {
  WeightsReport report;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i]->blobs().empty()) continue;
    (stored.count(layer_names_[i]) ? report.matched : report.without_weights)
        .push_back(layer_names_[i]);
  }
  for (const string& name : stored) {
    const int id = LayerIndex(name);
    if (id < 0 || layers_[id]->blobs().empty()) report.without_layer.push_back(name);
  }
  weights_report_ = std::move(report);
  if (!weights_report_.without_weights.empty()) {
    LOG(WARNING) << weights_report_.without_weights.size()
                 << " layer(s) found no weights and keep their own, the first is '"
                 << weights_report_.without_weights[0] << "'";
  }
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFrom(const string& trained_filename) {
  if (GuessContents(InputFile(trained_filename).Head()) == Contents::kHdf5) {
    CopyTrainedLayersFromHDF5(trained_filename);
  } else {
    CopyTrainedLayersFromBinaryProto(trained_filename);
  }
}

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFromBinaryProto(const string& trained_filename) {
  NetParameter param;
  ReadNetParamsFromBinaryFileOrDie(trained_filename, &param);
  SplitStoredBatchNorms(
      trained_filename,
      [this](const string& name) -> pair<string, int> {
        const int id = LayerIndex(name);
        if (id < 0) return {};
        return {layers_[id]->type(), static_cast<int>(layers_[id]->blobs().size())};
      },
      &param);
  try {
    CopyTrainedLayersFrom(param);
  } catch (Error& error) {
    error.Prefix(trained_filename);
    throw;
  }
}

template <typename Dtype>
void Net<Dtype>::ToProto(NetParameter* param, bool write_diff) const {
  param->Clear();
  param->set_name(name_);
  for (const auto& layer : layers_) layer->ToProto(param->add_layer(), write_diff);
}

// The layout of Caffe's HDF5 weights: /data/<layer>/<index>, and /diff likewise. A
// slash in a layer's name nests groups. A blob that shares another's memory is
// stored only with its owner.

template <typename Dtype>
void Net<Dtype>::CopyTrainedLayersFromHDF5(const string& trained_filename) {
  const Hdf5File file = Hdf5File::Open(trained_filename);
  const Hdf5Group data(hdf5_open_group(file.id(), "data"));
  // Copied when all have been read: a refused file changes nothing.
  vector<pair<Blob<Dtype>*, shared_ptr<Blob<Dtype>>>> loaded;
  for (size_t i = 0; i < layers_.size(); ++i) {
    auto& target_blobs = layers_[i]->blobs();
    const string& name = layer_names_[i];
    if (target_blobs.empty() || !hdf5_has_link(data.id(), name)) continue;
    const Hdf5Group layer(hdf5_open_group(data.id(), name));
    if (hdf5_has_link(layer.id(), std::to_string(target_blobs.size()))) {
      ValueError error(NameOf(layers_[i]->layer_param()),
                       Str("the file has more than the ", target_blobs.size(),
                           " weight blob(s) expected: ", ShapesText(target_blobs)));
      error.Prefix(trained_filename);
      throw error;
    }
    for (size_t j = 0; j < target_blobs.size(); ++j) {
      const string dataset = std::to_string(j);
      const bool owns = param_owners_[param_id_vecs_[i][j]] == -1;
      if (!owns && !hdf5_has_link(layer.id(), dataset)) continue;
      auto blob = std::make_shared<Blob<Dtype>>(target_blobs[j]->shape());
      hdf5_load_nd_dataset(layer.id(), dataset.c_str(), 0, kMaxBlobAxes, blob.get());
      loaded.emplace_back(target_blobs[j].get(), blob);
    }
  }
  for (const auto& [target, blob] : loaded) target->CopyFrom(*blob);
  set<string> stored;
  for (const string& name : layer_names_) {
    if (hdf5_has_link(data.id(), name)) stored.insert(name);
  }
  ReportWeights(stored);
}

template <typename Dtype>
void Net<Dtype>::ToHDF5(const string& filename, bool write_diff) const {
  Hdf5Writer writer(filename);
  for (const bool diff : {false, true}) {
    if (diff && !write_diff) continue;
    const Hdf5Group root(hdf5_create_group(writer.id(), diff ? "diff" : "data"));
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (layers_[i]->blobs().empty()) continue;
      const Hdf5Group layer(hdf5_create_group(root.id(), layer_names_[i]));
      for (size_t j = 0; j < layers_[i]->blobs().size(); ++j) {
        const int id = param_id_vecs_[i][j];
        if (!diff && param_owners_[id] != -1) continue;
        hdf5_save_nd_dataset<Dtype>(layer.id(), std::to_string(j), *params_[id], diff);
      }
    }
  }
  writer.Commit();
}

#define INSTANTIATE_NET_WEIGHTS(Dtype)                                       \
  template void Net<Dtype>::ShareTrainedLayersWith(const Net*);              \
  template void Net<Dtype>::CopyTrainedLayersFrom(const NetParameter&);      \
  template void Net<Dtype>::ReportWeights(const set<string>&);               \
  template void Net<Dtype>::CopyTrainedLayersFrom(const string&);            \
  template void Net<Dtype>::CopyTrainedLayersFromBinaryProto(const string&); \
  template void Net<Dtype>::CopyTrainedLayersFromHDF5(const string&);        \
  template void Net<Dtype>::ToProto(NetParameter*, bool) const;              \
  template void Net<Dtype>::ToHDF5(const string&, bool) const
INSTANTIATE_NET_WEIGHTS(float);
INSTANTIATE_NET_WEIGHTS(double);

}  // namespace caffe
