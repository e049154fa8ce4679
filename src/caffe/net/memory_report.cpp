#include "caffe/net/memory_report.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace caffe {
namespace {

constexpr std::size_t kMostNamed = 5;

// What a user calls the memories of a net.
using Names = std::map<const void*, string>;

template <typename Dtype>
void AddNames(const Blob<Dtype>& blob, const string& name, Names* names) {
  if (blob.num_axes() == 0 && blob.count() == 0) return;  // it has no shape yet
  // Blobs that share a memory go by the name of the first.
  names->emplace(blob.data().get(), "the data of " + name);
  names->emplace(blob.diff().get(), "the diff of " + name);
}

template <typename Dtype>
Names NamesOf(const Graph<Dtype>& graph) {
  Names names;
  for (std::size_t i = 0; i < graph.blobs.size(); ++i) {
    AddNames(*graph.blobs[i], "blob '" + graph.blob_names[i] + "'", &names);
  }
  for (std::size_t i = 0; i < graph.params.size(); ++i) {
    const auto [layer, number] = graph.param_layer_indices[i];
    AddNames(*graph.params[i],
             Str("parameter ", number, " of layer '", graph.layer_names[layer], "'"),
             &names);
  }
  return names;
}

string NameOf(const device::Holding& holding, const Names& names) {
  const auto found = names.find(holding.owner);
  if (found != names.end()) return found->second;
  return holding.owner ? "an array of the solver or of another net"
                       : "working memory of an operation";
}

}  // namespace

template <typename Dtype>
void NameHolders(const Graph<Dtype>& graph, device::MemoryFailure* failure) {
  const Names names = NamesOf(graph);
  // A memory may be there in two layouts.
  std::map<const void*, std::size_t> bytes_of;
  std::vector<device::Holding> largest;
  for (const device::Holding& holding : failure->holdings()) {
    if (holding.owner) {
      bytes_of[holding.owner] += holding.bytes;
    } else {
      largest.push_back(holding);
    }
  }
  for (const auto& [owner, bytes] : bytes_of) largest.push_back({bytes, owner});
  std::sort(largest.begin(), largest.end(),
            [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  largest.resize(std::min(largest.size(), kMostNamed));

  string message =
      Str(failure->message(), "; they were for ", NameOf({0, failure->owner()}, names));
  const char* separator = ", and most is held by ";
  for (const device::Holding& holding : largest) {
    message += Str(separator, NameOf(holding, names), " (", holding.bytes, " bytes)");
    separator = ", ";
  }
  failure->SetMessage(message);
}

template void NameHolders(const Graph<float>&, device::MemoryFailure*);
template void NameHolders(const Graph<double>&, device::MemoryFailure*);

}  // namespace caffe
