#include "caffe/util/insert_splits.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/util/closest.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {
namespace {

using TopIndex = std::pair<int, int>;  // (layer, top of that layer)

[[noreturn]] void ThrowUnknownBottom(const LayerParameter& layer, int bottom_index,
                                     const std::map<string, TopIndex>& producers) {
  std::vector<string> known;
  for (const auto& entry : producers) known.push_back(entry.first);
  throw ValueError(
      NameOf(layer),
      Str("bottom[", bottom_index, "]: unknown blob '", layer.bottom(bottom_index), "'",
          known.empty() ? string("; no layer before it has a top")
                        : Suggestion(layer.bottom(bottom_index), known)));
}

}  // namespace

void InsertSplits(const NetParameter& param, NetParameter* param_split) {
  param_split->CopyFrom(param);
  param_split->clear_layer();

  // Who made each bottom, and how many read each top.
  std::map<string, TopIndex> newest_producer;
  std::map<TopIndex, TopIndex> producer_of_bottom;  // keyed by (layer, bottom)
  std::map<TopIndex, int> readers;
  std::map<TopIndex, float> loss_weights;
  for (int i = 0; i < param.layer_size(); ++i) {
    const LayerParameter& layer = param.layer(i);
    for (int j = 0; j < layer.bottom_size(); ++j) {
      const auto found = newest_producer.find(layer.bottom(j));
      if (found == newest_producer.end()) ThrowUnknownBottom(layer, j, newest_producer);
      producer_of_bottom[{i, j}] = found->second;
      ++readers[found->second];
    }
    for (int j = 0; j < layer.top_size(); ++j) newest_producer[layer.top(j)] = {i, j};
    // The objective reads a weighted top too.
    const int weighted = std::min(layer.loss_weight_size(), layer.top_size());
    for (int j = 0; j < weighted; ++j) {
      const auto& top = newest_producer[layer.top(j)];
      loss_weights[top] = layer.loss_weight(j);
      if (layer.loss_weight(j) != 0) ++readers[top];
    }
  }

  std::map<TopIndex, int> copies_taken;
  for (int i = 0; i < param.layer_size(); ++i) {
    LayerParameter* layer = param_split->add_layer();
    layer->CopyFrom(param.layer(i));
    bool weight_moved = false;
    for (int j = 0; j < layer->bottom_size(); ++j) {
      const TopIndex& source = producer_of_bottom[{i, j}];
      if (readers[source] < 2) continue;
      const string& maker = param.layer(source.first).name();
      layer->set_bottom(j, SplitBlobName(maker, layer->bottom(j), source.second,
                                         copies_taken[source]++));
    }
    for (int j = 0; j < layer->top_size(); ++j) {
      const int count = readers[{i, j}];
      if (count < 2) continue;
      const float loss_weight = loss_weights[{i, j}];
      ConfigureSplitLayer(layer->name(), layer->top(j), j, count, loss_weight,
                          param_split->add_layer());
      if (loss_weight != 0) {
        // The split's first copy carries the weight now. Differs from BVLC, which
        // drops the weights of the layer's other tops as well.
        layer->set_loss_weight(j, 0);
        weight_moved = true;
        ++copies_taken[{i, j}];
      }
    }
    const auto& left = layer->loss_weight();
    if (weight_moved && std::count(left.begin(), left.end(), 0) == left.size()) {
      layer->clear_loss_weight();
    }
  }
}

void ConfigureSplitLayer(const string& layer_name, const string& blob_name,
                         const int blob_idx, const int split_count,
                         const float loss_weight, LayerParameter* split_layer_param) {
  split_layer_param->Clear();
  split_layer_param->add_bottom(blob_name);
  split_layer_param->set_name(SplitLayerName(layer_name, blob_name, blob_idx));
  split_layer_param->set_type("Split");
  for (int k = 0; k < split_count; ++k) {
    split_layer_param->add_top(SplitBlobName(layer_name, blob_name, blob_idx, k));
    if (loss_weight != 0) split_layer_param->add_loss_weight(k == 0 ? loss_weight : 0);
  }
}

string SplitLayerName(const string& layer_name, const string& blob_name,
                      const int blob_idx) {
  return Str(blob_name, "_", layer_name, "_", blob_idx, "_split");
}

string SplitBlobName(const string& layer_name, const string& blob_name,
                     const int blob_idx, const int split_idx) {
  return Str(blob_name, "_", layer_name, "_", blob_idx, "_split_", split_idx);
}

}  // namespace caffe
