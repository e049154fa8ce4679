#ifndef CAFFE_NET_WEIGHTS_HPP_
#define CAFFE_NET_WEIGHTS_HPP_

#include <string>

#include "caffe/net.hpp"

namespace caffe {

// Weights of a net: shared with another net, read from and written to files. What is
// stored is checked as a whole first: a refused file changes nothing.

/// See Net::ShareTrainedLayersWith.
template <typename Dtype>
void ShareWeights(const Net<Dtype>& from, Net<Dtype>* to);

/// Copies the blobs of the layers of the same names.
template <typename Dtype>
WeightsReport CopyWeights(const NetParameter& from, Net<Dtype>* to);
template <typename Dtype>
WeightsReport CopyWeightsFromBinaryProto(const string& file, Net<Dtype>* to);
/// From the layout of Caffe's HDF5 weights: /data/<layer>/<index>, and /diff likewise. A
/// slash in a layer's name nests groups. A blob that shares another's memory is stored
/// only with its owner.
template <typename Dtype>
WeightsReport CopyWeightsFromHDF5(const string& file, Net<Dtype>* to);

/// Whichever of the two it is.
template <typename Dtype>
WeightsReport CopyWeightsFromFile(const string& file, Net<Dtype>* to);

template <typename Dtype>
void WriteWeightsToHDF5(const Net<Dtype>& net, const string& file, bool write_diff);

}  // namespace caffe

#endif  // CAFFE_NET_WEIGHTS_HPP_
