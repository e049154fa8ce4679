#include "caffe/net/layer_errors.hpp"

#include <string>

#include "caffe/layers/labels.hpp"
#include "caffe/net/sample_origin.hpp"

namespace caffe {
namespace {

[[noreturn]] void RethrowFor(const GraphFacts& graph, const LayerParameter& param,
                             const Error& error) {
  string message = error.what();
  // The copies that Split made are the blob that the prototxt names.
  for (const auto& [copy, name] : graph.split_blobs) {
    if (copy == name) continue;
    const string quoted = "'" + copy + "'";
    for (size_t at; (at = message.find(quoted)) != string::npos;) {
      message.replace(at, quoted.size(), "'" + name + "'");
    }
  }
  if (message.find("'" + param.name() + "'") == string::npos) {
    message = Str("layer '", param.name(), "' (", param.type(), "): ") + message;
  }
  RethrowWithPrefix(Error(error.kind(), message), "");
}

}  // namespace

void RethrowFor(const GraphFacts& graph, const LayerParameter& param) {
  try {
    throw;
  } catch (const Error& error) {
    RethrowFor(graph, param, error);
  }
}

template <typename Dtype>
void RethrowFor(const Graph<Dtype>& graph, int i) {
  const LayerParameter& param = graph.layers[i]->layer_param();
  try {
    throw;
  } catch (const BadSample& error) {
    RethrowFor(graph, param, WithOrigin(graph, i, error));
  } catch (const Error& error) {
    RethrowFor(graph, param, error);
  }
}

template void RethrowFor(const Graph<float>&, int);
template void RethrowFor(const Graph<double>&, int);

}  // namespace caffe
