#include "caffe/net/sample_origin.hpp"

#include <string>

#include "caffe/layers/base_data_layer.hpp"

namespace caffe {
namespace {

// The layer before `layer` that has written blob `blob` last, or -1.
template <typename Dtype>
int WriterOf(const Net<Dtype>& net, int layer, int blob) {
  while (--layer >= 0) {
    for (const int top : net.top_ids(layer)) {
      if (top == blob) return layer;
    }
  }
  return -1;
}

template <typename Dtype>
string OriginOf(const Net<Dtype>& net, int layer, int bottom, int sample) {
  int writer = WriterOf(net, layer, net.bottom_ids(layer)[bottom]);
  while (writer >= 0 && net.layers()[writer]->type() == string("Split")) {
    writer = WriterOf(net, writer, net.bottom_ids(writer)[0]);
  }
  if (writer < 0) return "";
  const auto* data =
      dynamic_cast<const BasePrefetchingDataLayer<Dtype>*>(net.layers()[writer].get());
  if (data == nullptr || sample >= static_cast<int>(data->origins().size())) return "";
  return data->origins()[sample];
}

}  // namespace

template <typename Dtype>
void AddOrigin(const Net<Dtype>& net, int layer, BadSample* error) {
  const string origin = OriginOf(net, layer, error->bottom(), error->sample());
  if (!origin.empty()) error->SetOrigin(origin);
}

template void AddOrigin(const Net<float>&, int, BadSample*);
template void AddOrigin(const Net<double>&, int, BadSample*);

}  // namespace caffe
