#include "caffe/net/overwritten_data.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "caffe/layers/base_data_layer.hpp"
#include "caffe/layers/dummy_data_layer.hpp"
#include "caffe/layers/input_layer.hpp"
#include "caffe/ops/tensor.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {
namespace {

// Values and layout.
template <typename Dtype>
void CopyData(const Blob<Dtype>& from, Blob<Dtype>* to) {
  if (to->shape() != from.shape()) to->ReshapeLike(from);
  if (Caffe::mode() == Caffe::GPU) {
    to->CopyFrom(from);
    return;
  }
  const int block = DataOf(&from).block();
  std::copy_n(DataOf(&from).Read(block), from.count(), DataOf(to).Write(block));
}

// Whether a layer without bottoms is known to write its tops in every Forward, or the
// caller does.
template <typename Dtype>
bool Refills(const Layer<Dtype>& layer) {
  return dynamic_cast<const BaseDataLayer<Dtype>*>(&layer) ||
         dynamic_cast<const DummyDataLayer<Dtype>*>(&layer) ||
         dynamic_cast<const InputLayer<Dtype>*>(&layer);
}

}  // namespace

template <typename Dtype>
OverwrittenData<Dtype>::OverwrittenData(const Graph<Dtype>& graph) : graph_(graph) {
  RefuseStaleReads();
  FindReaders();
  FindFilled();
}

// After a layer in place, whoever reads its data must do so by way of its top: a layer
// that reads it under another name gets the new values, in Caffe as here, but passes its
// gradient round the layer in place.
template <typename Dtype>
void OverwrittenData<Dtype>::RefuseStaleReads() const {
  const int layers = static_cast<int>(graph_.layers.size());
  map<int, int> stale;  // blobs, with the layer that wrote over their data
  for (int i = 0; i < layers; ++i) {
    const vector<int>& bottoms = graph_.bottom_ids[i];
    const vector<int>& tops = graph_.top_ids[i];
    // A layer whose tops share the data of its bottom reads nothing itself.
    const bool shares = std::any_of(tops.begin(), tops.end(),
                                    [&](int top) { return graph_.IsView(i, top); });
    for (size_t b = 0; b < bottoms.size(); ++b) {
      const auto found = stale.find(bottoms[b]);
      if (found == stale.end()) continue;
      if (shares) {
        for (int top : tops) stale[top] = found->second;
        continue;
      }
      const int writer = found->second;
      if (!graph_.layer_need_backward[i] || !graph_.layer_need_backward[writer]) continue;
      throw ValueError(
          NameOf(graph_.layers[writer]->layer_param()),
          Str("it works in place on data that ", NameOf(graph_.layers[i]->layer_param()),
              " reads as '", graph_.blob_names[graph_.roots[bottoms[b]]],
              "' afterwards; give its top its own name"));
    }
    for (size_t t = 0; t < tops.size(); ++t) {
      if (!graph_.WorksInPlace(i, graph_.top_ids[i][t])) continue;
      for (const auto& param : graph_.params) {
        if (graph_.blobs[tops[t]]->count() == 0 || param->count() == 0 ||
            graph_.blobs[tops[t]]->data() != param->data()) {
          continue;
        }
        throw ValueError(NameOf(graph_.layers[i]->layer_param()),
                         Str("it works in place on '", graph_.blob_names[tops[t]],
                             "', which is a parameter; give its top its own name"));
      }
      for (size_t blob = 0; blob < graph_.roots.size(); ++blob) {
        const int id = static_cast<int>(blob);
        if (graph_.roots[blob] != graph_.roots[tops[t]] || id == tops[t]) continue;
        // Blobs of later layers come behind this one and see the new values.
        bool exists = false;
        for (int before = 0; before < i && !exists; ++before) {
          const vector<int>& made = graph_.top_ids[before];
          exists = std::count(made.begin(), made.end(), id) > 0;
        }
        if (exists) stale[id] = i;
      }
    }
  }
}

// What the Backward of `layer` reads of the data of `group`.
template <typename Dtype>
DataUse OverwrittenData<Dtype>::UseOf(int layer, int group) const {
  DataUse most = DataUse::kNone;
  // In the order of DataUse, the first of all uses is the most.
  const auto add = [&](DataUse use) { most = std::min(most, use); };
  const vector<int>& bottoms = graph_.bottom_ids[layer];
  const vector<int>& tops = graph_.top_ids[layer];
  for (size_t b = 0; b < bottoms.size(); ++b) {
    if (graph_.roots[bottoms[b]] == group) add(graph_.traits[layer].UseOfBottom(b));
  }
  for (size_t t = 0; t < tops.size(); ++t) {
    if (graph_.roots[tops[t]] == group) add(graph_.traits[layer].UseOfTop(t));
  }
  return most;
}

template <typename Dtype>
void OverwrittenData<Dtype>::FindReaders() {
  const int layers = static_cast<int>(graph_.layers.size());
  for (int reader = 0; reader < layers; ++reader) {
    if (!graph_.layer_need_backward[reader]) continue;
    set<int> groups;
    for (int blob : graph_.bottom_ids[reader]) groups.insert(graph_.roots[blob]);
    for (int blob : graph_.top_ids[reader]) groups.insert(graph_.roots[blob]);
    for (int group : groups) {
      const DataUse use = UseOf(reader, group);
      if (use == DataUse::kNone) continue;
      bool found = false;
      for (int writer = reader + 1; writer < layers && !found; ++writer) {
        for (size_t t = 0; t < graph_.top_ids[writer].size() && !found; ++t) {
          const int blob = graph_.top_ids[writer][t];
          const int bottom = graph_.PlaceOf(writer, blob);
          if (bottom < 0 || graph_.roots[blob] != group) continue;
          if (use == DataUse::kReadSign &&
              graph_.traits[writer].InPlaceOf(bottom) == InPlace::kKeepsSign) {
            continue;
          }
          AddReader(writer, blob, reader);
          found = true;
        }
      }
    }
  }
}

template <typename Dtype>
void OverwrittenData<Dtype>::AddReader(int writer, int blob, int reader) {
  for (const auto& copy : copies_) {
    if (copy->writer == writer && copy->blob == blob) {
      copy->readers.push_back(reader);
      return;
    }
  }
  copies_.push_back(std::make_shared<Copy>());
  copies_.back()->writer = writer;
  copies_.back()->blob = blob;
  copies_.back()->readers.push_back(reader);
}

template <typename Dtype>
vector<int> OverwrittenData<Dtype>::blobs() const {
  vector<int> all;
  for (const auto& copy : copies_) all.push_back(copy->blob);
  return all;
}

template <typename Dtype>
void OverwrittenData<Dtype>::BeforeForward(int layer) {
  for (const auto& copy : copies_) {
    if (copy->writer != layer) continue;
    CopyData(*graph_.blobs[copy->blob], &copy->before);
    copy->made = true;
  }
}

template <typename Dtype>
void OverwrittenData<Dtype>::BeforeBackward(int layer) {
  for (const auto& copy : copies_) {
    if (!copy->made || !std::count(copy->readers.begin(), copy->readers.end(), layer)) {
      continue;
    }
    Blob<Dtype>* blob = graph_.blobs[copy->blob].get();
    CopyData(*blob, &copy->after);
    CopyData(copy->before, blob);
  }
}

template <typename Dtype>
void OverwrittenData<Dtype>::AfterBackward(int layer) {
  for (const auto& copy : copies_) {
    if (!copy->made || !std::count(copy->readers.begin(), copy->readers.end(), layer)) {
      continue;
    }
    CopyData(copy->after, graph_.blobs[copy->blob].get());
  }
}

template <typename Dtype>
void OverwrittenData<Dtype>::FindFilled() {
  const int layers = static_cast<int>(graph_.layers.size());
  const auto is_overwritten = [&](int filler, int blob) {
    for (int writer = filler + 1; writer < layers; ++writer) {
      for (size_t t = 0; t < graph_.top_ids[writer].size(); ++t) {
        if (graph_.roots[graph_.top_ids[writer][t]] == graph_.roots[blob] &&
            graph_.WorksInPlace(writer, graph_.top_ids[writer][t])) {
          return true;
        }
      }
    }
    return false;
  };
  for (int i = 0; i < layers; ++i) {
    if (!graph_.bottom_ids[i].empty() || Refills(*graph_.layers[i])) continue;
    for (int blob : graph_.top_ids[i]) {
      if (!is_overwritten(i, blob)) continue;
      filled_.push_back(std::make_shared<Filled>());
      filled_.back()->layer = i;
      filled_.back()->blob = blob;
    }
  }
}

template <typename Dtype>
void OverwrittenData<Dtype>::BeforeFill(int layer) {
  for (const auto& filled : filled_) {
    Blob<Dtype>* blob = graph_.blobs[filled->blob].get();
    // There is nothing yet, or the caller has given it another shape.
    if (filled->layer != layer || filled->data.shape() != blob->shape()) continue;
    CopyData(filled->data, blob);
  }
}

template <typename Dtype>
void OverwrittenData<Dtype>::AfterFill(int layer) {
  for (const auto& filled : filled_) {
    if (filled->layer == layer) CopyData(*graph_.blobs[filled->blob], &filled->data);
  }
}

INSTANTIATE_CLASS(OverwrittenData);

}  // namespace caffe
