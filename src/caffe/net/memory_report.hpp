#ifndef CAFFE_NET_MEMORY_REPORT_HPP_
#define CAFFE_NET_MEMORY_REPORT_HPP_

#include "caffe/device.hpp"
#include "caffe/graph.hpp"

namespace caffe {

/// Adds to the sentence of `failure` for which of the graph's arrays the memory was to
/// be, and the five largest pieces that are in use.
template <typename Dtype>
void NameHolders(const Graph<Dtype>& graph, device::MemoryFailure* failure);

}  // namespace caffe

#endif  // CAFFE_NET_MEMORY_REPORT_HPP_
