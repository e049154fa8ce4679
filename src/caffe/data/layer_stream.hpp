#ifndef CAFFE_DATA_LAYER_STREAM_HPP_
#define CAFFE_DATA_LAYER_STREAM_HPP_

#include <cstdint>
#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/fnv1a.hpp"

namespace caffe {

/// A data layer's generator for purpose `what`: equal for equal seeds, layers, phases and
/// purposes.
inline rng_t LayerStream(std::uint64_t seed, Phase phase, const std::string& layer,
                         const std::string& what) {
  Fnv1a stream;
  stream.Add(Str(Phase_Name(phase), '/', layer, '/', what));
  return rng_t(seed, stream.value());
}

}  // namespace caffe

#endif  // CAFFE_DATA_LAYER_STREAM_HPP_
