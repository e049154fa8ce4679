#ifndef CAFFE_NET_BUILD_HPP_
#define CAFFE_NET_BUILD_HPP_

#include <string>

#include "caffe/graph.hpp"

namespace caffe {

/// Keeps the layers whose rules fit the state of `param`.
void FilterLayers(const NetParameter& param, NetParameter* filtered);
/// Whether `state` fits `rule`; logs for `layer_name` why not.
bool MeetsRule(const NetState& state, const NetStateRule& rule, const string& layer_name);

/// Builds an empty graph: creates and sets up the layers of `param`, which has been
/// filtered and has its Splits, wires their blobs, shares parameters of one name, and
/// finds out which layers need gradients. Errors name the layer.
template <typename Dtype>
void BuildGraph(NetParameter param, Graph<Dtype>* graph);

/// Makes shared parameters one memory.
template <typename Dtype>
void ShareParams(const Graph<Dtype>& graph);

}  // namespace caffe

#endif  // CAFFE_NET_BUILD_HPP_
