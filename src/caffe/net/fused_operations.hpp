#ifndef CAFFE_NET_FUSED_OPERATIONS_HPP_
#define CAFFE_NET_FUSED_OPERATIONS_HPP_

#include <memory>
#include <vector>

#include "caffe/net/step.hpp"

namespace caffe {

// What steps can do (net/passes/fuse.cpp finds where). `layers` are those of the step, in
// order; the graph lives longer than the operation.

/// One layer, as it is.
template <typename Dtype>
OperationPtr<Dtype> MakeSingleLayer(const Graph<Dtype>& graph, int layer);

/// A Pooling of an inference net, by MAX or over the whole image, as it is.
template <typename Dtype>
OperationPtr<Dtype> MakeInferredPooling(const Graph<Dtype>& graph, int layer);

/// CuDNNBatchNorm and the ReLU in place behind it, forward and backward.
template <typename Dtype>
OperationPtr<Dtype> MakeNormalizedReLU(const Graph<Dtype>& graph,
                                       const vector<int>& layers);

/// top = relu(a · (weights * bottom + bias) + b + addend), with a folded into the
/// weights: a Convolution, `num_affine` layers with channel_affine, a sum with `addend`
/// (null: none), and a ReLU if `relu`.
template <typename Dtype>
OperationPtr<Dtype> MakeFusedConvolution(const Graph<Dtype>& graph,
                                         const vector<int>& layers, int num_affine,
                                         const Blob<Dtype>* addend, bool relu);

/// Eltwise SUM and the global average pooling of the sum.
template <typename Dtype>
OperationPtr<Dtype> MakePooledSum(const Graph<Dtype>& graph, const vector<int>& layers);

/// Scale by a second bottom, and Axpy of another branch onto it.
template <typename Dtype>
OperationPtr<Dtype> MakeSelectedSum(const Graph<Dtype>& graph, const vector<int>& layers);

}  // namespace caffe

#endif  // CAFFE_NET_FUSED_OPERATIONS_HPP_
