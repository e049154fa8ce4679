#ifndef CAFFE_GRAPH_HPP_
#define CAFFE_GRAPH_HPP_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Who writes and reads what in a net: all that plans are made from. Plain data.
///
/// Layers are numbered in the order in which they run, blobs in that in which they are
/// first written.
struct GraphFacts {
  string name;
  Phase phase = TRAIN;

  // By layer.
  vector<string> layer_names;
  vector<vector<int>> bottom_ids, top_ids;  ///< blobs
  vector<bool> layer_need_backward;
  vector<LayerTraits> traits;

  // By blob.
  vector<string> blob_names;
  /// The first blob whose memory it shares; itself if there is none. Blobs of one root
  /// are a memory group, which goes by the root's number.
  vector<int> roots;
  vector<bool> is_result;  ///< an output of the net, or weighted in its loss
  vector<double> bytes;

  vector<int> input_ids, output_ids;
  /// The copies that Split made, with the names that the user knows.
  map<string, string> split_blobs;

  /// Whether top `blob` of layer `i` is one of its bottoms.
  bool WorksInPlace(int i, int blob) const { return PlaceOf(i, blob) >= 0; }
  /// The position of `blob` among the bottoms of layer `i`, or -1.
  int PlaceOf(int i, int blob) const;
  /// Whether top `blob` of layer `i` is a view of a bottom, as a Split's are: the layer
  /// writes nothing.
  bool IsView(int i, int blob) const {
    return !WorksInPlace(i, blob) && roots[blob] != blob;
  }
};

/// What a Net consists of.
template <typename Dtype>
struct Graph : GraphFacts {
  // By layer.
  vector<shared_ptr<Layer<Dtype>>> layers;
  vector<vector<Blob<Dtype>*>> bottom_vecs, top_vecs;
  vector<vector<bool>> bottom_need_backward;
  vector<vector<int>> param_ids;
  map<string, int> layer_index;  ///< by name

  // By blob.
  vector<shared_ptr<Blob<Dtype>>> blobs;
  vector<bool> blob_need_backward;
  vector<Dtype> blob_loss_weights;
  map<string, int> blob_index;  ///< by name

  vector<Blob<Dtype>*> inputs, outputs;

  // By parameter.
  vector<shared_ptr<Blob<Dtype>>> params;
  vector<int> param_owners;  ///< the parameter whose memory it shares, or -1
  vector<string> param_display_names;
  vector<pair<int, int>> param_layer_indices;  ///< (layer, number of its blob)
  vector<int> learnable_param_ids;
  map<string, int> param_names_index;

  // By learnable parameter: those that own their memory.
  vector<Blob<Dtype>*> learnable_params;
  vector<float> params_lr, params_weight_decay;
  vector<bool> has_params_lr, has_params_decay;

  /// The layer of that name, or -1.
  int LayerIndex(const string& layer) const {
    const auto found = layer_index.find(layer);
    return found == layer_index.end() ? -1 : found->second;
  }

  /// Asks the layers for their traits, and the blobs for their memory.
  void Refresh();
};

}  // namespace caffe

#endif  // CAFFE_GRAPH_HPP_
