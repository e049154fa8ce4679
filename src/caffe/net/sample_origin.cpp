#include "caffe/net/sample_origin.hpp"

#include <string>

#include "caffe/layers/base_data_layer.hpp"

namespace caffe {
namespace {

// The layer before `layer` that has written blob `blob` last, or -1.
template <typename Dtype>
int WriterOf(const Graph<Dtype>& graph, int layer, int blob) {
  while (--layer >= 0) {
    for (const int top : graph.top_ids[layer]) {
      if (top == blob) return layer;
    }
  }
  return -1;
}

template <typename Dtype>
string OriginOf(const Graph<Dtype>& graph, int layer, int bottom, int sample) {
  int writer = WriterOf(graph, layer, graph.bottom_ids[layer][bottom]);
  while (writer >= 0 && graph.layers[writer]->type() == string("Split")) {
    writer = WriterOf(graph, writer, graph.bottom_ids[writer][0]);
  }
  if (writer < 0) return "";
  const auto* data =
      dynamic_cast<const BasePrefetchingDataLayer<Dtype>*>(graph.layers[writer].get());
  if (data == nullptr || sample >= static_cast<int>(data->origins().size())) return "";
  return data->origins()[sample];
}

}  // namespace

template <typename Dtype>
void AddOrigin(const Graph<Dtype>& graph, int layer, BadSample* error) {
  const string origin = OriginOf(graph, layer, error->bottom(), error->sample());
  if (!origin.empty()) error->SetOrigin(origin);
}

template void AddOrigin(const Graph<float>&, int, BadSample*);
template void AddOrigin(const Graph<double>&, int, BadSample*);

}  // namespace caffe
