#ifndef CAFFE_NET_PASSES_FUSE_HPP_
#define CAFFE_NET_PASSES_FUSE_HPP_

#include <vector>

#include "caffe/net/step.hpp"

namespace caffe {

template <typename Dtype>
struct FusedSteps {
  vector<Step> steps;
  vector<OperationPtr<Dtype>> operations;  ///< of each step
};

/// The first pass: the steps of a net in order, one for each layer or for several that
/// one operation can do. Patterns are listed in fuse.cpp, with the policy that wants
/// them.
template <typename Dtype>
FusedSteps<Dtype> Fuse(const Graph<Dtype>& graph, Policy policy);

}  // namespace caffe

#endif  // CAFFE_NET_PASSES_FUSE_HPP_
