#include "caffe/net/layer_errors.hpp"

#include <string>

#include "caffe/device.hpp"
#include "caffe/layers/base_data_layer.hpp"
#include "caffe/layers/labels.hpp"
#include "caffe/net/memory_report.hpp"
#include "caffe/util/layer_name.hpp"

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

// The file or key of a sample if it comes, by splits alone, from a data layer that knows.
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

// Kernels run behind the calls that start them, so that a later call may be told.
void ExplainDeviceFailure(Error* error) {
  if (error->kind() != ErrorKind::kRuntime || Caffe::mode() != Caffe::GPU) return;
  if (!device::HasFailed()) return;
  error->SetMessage(error->message() +
                    "; the GPU failed in this layer or in one that ran before it, and "
                    "runs nothing more: with CUDA_LAUNCH_BLOCKING=1 in the environment "
                    "it is the layer that is named");
}

}  // namespace

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
  if (auto* bad = dynamic_cast<BadSample*>(error)) {
    const string origin = OriginOf(graph, i, bad->bottom(), bad->sample());
    if (!origin.empty()) bad->SetOrigin(origin);
  }
  if (auto* full = dynamic_cast<device::MemoryFailure*>(error)) {
    NameHolders(graph, full);
  } else {
    ExplainDeviceFailure(error);
  }
  RethrowFor(graph, graph.layers[i]->layer_param(), error);
}

template void RethrowFor(const Graph<float>&, int, Error*);
template void RethrowFor(const Graph<double>&, int, Error*);

}  // namespace caffe
