#include "caffe/net/layer_errors.hpp"

#include <string>

#include "caffe/layers/labels.hpp"
#include "caffe/net/sample_origin.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

void RethrowFor(const GraphFacts& graph, const LayerParameter& param, Error* error) {
  string message = error->message();
  // The copies that Split made are the blob that the prototxt names.
  for (const auto& [copy, name] : graph.split_blobs) {
    if (copy == name) continue;
    const string quoted = "'" + copy + "'";
    for (size_t at; (at = message.find(quoted)) != string::npos;) {
      message.replace(at, quoted.size(), "'" + name + "'");
    }
  }
  error->SetMessage(message);
  error->SetWho(NameOf(param));
  throw;
}

template <typename Dtype>
void RethrowFor(const Graph<Dtype>& graph, int i, Error* error) {
  auto* sample = dynamic_cast<BadSample*>(error);
  if (sample) AddOrigin(graph, i, sample);
  RethrowFor(graph, graph.layers[i]->layer_param(), error);
}

template void RethrowFor(const Graph<float>&, int, Error*);
template void RethrowFor(const Graph<double>&, int, Error*);

}  // namespace caffe
