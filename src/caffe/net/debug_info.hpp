#ifndef CAFFE_NET_DEBUG_INFO_HPP_
#define CAFFE_NET_DEBUG_INFO_HPP_

#include "caffe/graph.hpp"

namespace caffe {

// The log lines of NetParameter.debug_info: mean absolute values of what was computed.

/// Of the tops and parameters of layer `i`, after its Forward.
template <typename Dtype>
void LogForward(const Graph<Dtype>& graph, int i);
/// Of the gradients of its bottoms and parameters, after its Backward.
template <typename Dtype>
void LogBackward(const Graph<Dtype>& graph, int i);
/// Norms of all learnable parameters, after the Backward of the whole net.
template <typename Dtype>
void LogParams(const Graph<Dtype>& graph);

}  // namespace caffe

#endif  // CAFFE_NET_DEBUG_INFO_HPP_
