#ifndef CAFFE_NET_SAMPLE_ORIGIN_HPP_
#define CAFFE_NET_SAMPLE_ORIGIN_HPP_

#include "caffe/layers/labels.hpp"
#include "caffe/net.hpp"

namespace caffe {

/// Adds to an error of layer `layer` the file or key of the sample if it comes, by
/// splits alone, from a data layer that knows.
template <typename Dtype>
void AddOrigin(const Net<Dtype>& net, int layer, BadSample* error);

}  // namespace caffe

#endif  // CAFFE_NET_SAMPLE_ORIGIN_HPP_
