#ifndef CAFFE_NET_LAYER_ERRORS_HPP_
#define CAFFE_NET_LAYER_ERRORS_HPP_

#include "caffe/graph.hpp"

namespace caffe {

/// In a handler of `error`: lets it go on as one of the layer that `param` describes,
/// with the names of blobs that the user knows.
[[noreturn]] void RethrowFor(const GraphFacts& graph, const LayerParameter& param,
                             Error* error);

/// The same for layer `i` of a graph that runs; a bad sample is named by where it comes
/// from, and the sentence tells what is known of a GPU that failed or is full.
template <typename Dtype>
[[noreturn]] void RethrowFor(const Graph<Dtype>& graph, int i, Error* error);

}  // namespace caffe

#endif  // CAFFE_NET_LAYER_ERRORS_HPP_
