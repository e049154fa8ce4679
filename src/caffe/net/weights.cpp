#include "caffe/net/weights.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caffe/util/hdf5.hpp"
#include "caffe/util/input_file.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/layer_name.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe/util/upgrade_steps.hpp"

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

// Throws unless the stored blobs of `source` fit `target`.
template <typename Dtype>
void CheckStoredBlobs(const LayerParameter& source, Layer<Dtype>* target) {
  auto& target_blobs = target->blobs();
  const string who = NameOf(target->layer_param());
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

// Old files have four numbers in place of a shape.
vector<int> StoredShape(const BlobProto& blob) {
  if (blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width()) {
    return {blob.num(), blob.channels(), blob.height(), blob.width()};
  }
  return vector<int>(blob.shape().dim().begin(), blob.shape().dim().end());
}

template <typename Dtype>
WeightsReport ReportOn(const Net<Dtype>& net, map<string, vector<vector<int>>> stored) {
  WeightsReport report;
  for (size_t i = 0; i < net.layers().size(); ++i) {
    if (net.layers()[i]->blobs().empty()) continue;
    (stored.count(net.layer_names()[i]) ? report.matched : report.without_weights)
        .push_back(net.layer_names()[i]);
  }
  for (const auto& [name, shapes] : stored) {
    const int id = net.graph().LayerIndex(name);
    if (id < 0 || net.layers()[id]->blobs().empty()) report.without_layer.push_back(name);
  }
  report.shapes = std::move(stored);
  if (!report.without_weights.empty()) {
    LOG(WARNING) << report.without_weights.size()
                 << " layer(s) found no weights and keep their own, the first is '"
                 << report.without_weights[0] << "'";
  }
  return report;
}

}  // namespace

template <typename Dtype>
void ShareWeights(const Net<Dtype>& from, Net<Dtype>* to) {
  const vector<shared_ptr<Blob<Dtype>>>& params = to->params();
  set<int> shared;
  for (int i = 0; i < static_cast<int>(from.layers().size()); ++i) {
    const string& source_name = from.layer_names()[i];
    const int target_id = to->graph().LayerIndex(source_name);
    if (target_id < 0) {
      LOG(INFO) << "Ignoring source layer " << source_name;
      continue;
    }
    auto& source_blobs = from.layers()[i]->blobs();
    auto& target_blobs = to->layers()[target_id]->blobs();
    const auto fail = [&]() {
      throw ValueError(
          NameOf(to->layers()[target_id]->layer_param()),
          Str("it cannot share weights: the other net has ", source_blobs.size(),
              " blob(s) ", ShapesText(source_blobs), ", this one expects ",
              target_blobs.size(), " ", ShapesText(target_blobs)));
    };
    if (source_blobs.size() != target_blobs.size()) fail();
    for (size_t j = 0; j < target_blobs.size(); ++j) {
      if (target_blobs[j]->shape() != source_blobs[j]->shape()) fail();
      target_blobs[j]->ShareData(*source_blobs[j]);
      for (size_t id = 0; id < params.size(); ++id) {
        if (params[id] == target_blobs[j]) shared.insert(static_cast<int>(id));
      }
    }
  }
  // What shares a parameter with one of them by name goes along, owner or not.
  for (int id : shared) {
    const auto owner = [&](int param) {
      return to->param_owners()[param] < 0 ? param : to->param_owners()[param];
    };
    for (int other_id = 0; other_id < static_cast<int>(params.size()); ++other_id) {
      if (owner(other_id) == owner(id) && !shared.count(other_id)) {
        params[other_id]->ShareData(*params[id]);
      }
    }
  }
}

template <typename Dtype>
WeightsReport CopyWeights(const NetParameter& from, Net<Dtype>* to) {
  for (const LayerParameter& source : from.layer()) {
    const int target_id = to->graph().LayerIndex(source.name());
    if (target_id >= 0) CheckStoredBlobs(source, to->layers()[target_id].get());
  }
  for (const LayerParameter& source : from.layer()) {
    const int target_id = to->graph().LayerIndex(source.name());
    if (target_id < 0) {
      LOG(INFO) << "Ignoring source layer " << source.name();
      continue;
    }
    for (int j = 0; j < source.blobs_size(); ++j) {
      to->layers()[target_id]->blobs()[j]->FromProto(source.blobs(j), false);
    }
  }
  map<string, vector<vector<int>>> stored;
  for (const LayerParameter& source : from.layer()) {
    for (const BlobProto& blob : source.blobs()) {
      stored[source.name()].push_back(StoredShape(blob));
    }
  }
  return ReportOn(*to, std::move(stored));
}

template <typename Dtype>
WeightsReport CopyWeightsFromBinaryProto(const string& file, Net<Dtype>* to) {
  NetParameter param;
  ReadNetParamsFromBinaryFileOrDie(file, &param);
  SplitStoredBatchNorms(
      file,
      [to](const string& name) -> pair<string, int> {
        const int id = to->graph().LayerIndex(name);
        if (id < 0) return {};
        return {to->layers()[id]->type(),
                static_cast<int>(to->layers()[id]->blobs().size())};
      },
      &param);
  try {
    return CopyWeights(param, to);
  } catch (Error& error) {
    error.Prefix(file);
    throw;
  }
}

template <typename Dtype>
WeightsReport CopyWeightsFromHDF5(const string& file, Net<Dtype>* to) {
  const Hdf5File stored_file = Hdf5File::Open(file);
  const Hdf5Group data(hdf5_open_group(stored_file.id(), "data"));
  vector<pair<Blob<Dtype>*, shared_ptr<Blob<Dtype>>>> loaded;
  for (size_t i = 0; i < to->layers().size(); ++i) {
    auto& target_blobs = to->layers()[i]->blobs();
    const string& name = to->layer_names()[i];
    if (target_blobs.empty() || !hdf5_has_link(data.id(), name)) continue;
    const Hdf5Group layer(hdf5_open_group(data.id(), name));
    if (hdf5_has_link(layer.id(), std::to_string(target_blobs.size()))) {
      ValueError error(NameOf(to->layers()[i]->layer_param()),
                       Str("the file has more than the ", target_blobs.size(),
                           " weight blob(s) expected: ", ShapesText(target_blobs)));
      error.Prefix(file);
      throw error;
    }
    for (size_t j = 0; j < target_blobs.size(); ++j) {
      const string dataset = std::to_string(j);
      const bool owns = to->param_owners()[to->graph().param_ids[i][j]] == -1;
      if (!owns && !hdf5_has_link(layer.id(), dataset)) continue;
      auto blob = std::make_shared<Blob<Dtype>>(target_blobs[j]->shape());
      hdf5_load_nd_dataset(layer.id(), dataset.c_str(), 0, kMaxBlobAxes, blob.get());
      loaded.emplace_back(target_blobs[j].get(), blob);
    }
  }
  map<string, vector<vector<int>>> stored = hdf5_find_shapes(data.id());
  for (const auto& [target, blob] : loaded) target->CopyFrom(*blob);
  return ReportOn(*to, std::move(stored));
}

template <typename Dtype>
WeightsReport CopyWeightsFromFile(const string& file, Net<Dtype>* to) {
  return GuessContents(InputFile(file).Head()) == Contents::kHdf5
             ? CopyWeightsFromHDF5(file, to)
             : CopyWeightsFromBinaryProto(file, to);
}

template <typename Dtype>
void WriteWeightsToHDF5(const Net<Dtype>& net, const string& file, bool write_diff) {
  Hdf5Writer writer(file);
  for (const bool diff : {false, true}) {
    if (diff && !write_diff) continue;
    const Hdf5Group root(hdf5_create_group(writer.id(), diff ? "diff" : "data"));
    for (size_t i = 0; i < net.layers().size(); ++i) {
      if (net.layers()[i]->blobs().empty()) continue;
      const Hdf5Group layer(hdf5_create_group(root.id(), net.layer_names()[i]));
      for (size_t j = 0; j < net.layers()[i]->blobs().size(); ++j) {
        const int id = net.graph().param_ids[i][j];
        if (!diff && net.param_owners()[id] != -1) continue;
        hdf5_save_nd_dataset<Dtype>(layer.id(), std::to_string(j), *net.params()[id],
                                    diff);
      }
    }
  }
  writer.Commit();
}

#define INSTANTIATE_WEIGHTS(Dtype)                                               \
  template void ShareWeights(const Net<Dtype>&, Net<Dtype>*);                    \
  template WeightsReport CopyWeights(const NetParameter&, Net<Dtype>*);          \
  template WeightsReport CopyWeightsFromBinaryProto(const string&, Net<Dtype>*); \
  template WeightsReport CopyWeightsFromHDF5(const string&, Net<Dtype>*);        \
  template WeightsReport CopyWeightsFromFile(const string&, Net<Dtype>*);        \
  template void WriteWeightsToHDF5(const Net<Dtype>&, const string&, bool)
INSTANTIATE_WEIGHTS(float);
INSTANTIATE_WEIGHTS(double);

}  // namespace caffe
