#ifndef CAFFE_LAYER_STREAM_HPP_
#define CAFFE_LAYER_STREAM_HPP_

#include <cstdint>
#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What a data layer draws from: equal for equal seeds, phases and names of layers, and
/// for layers of one phase and name another for each that was made since the seed was
/// set.
class LayerStream {
 public:
  /// That of a layer which begins now.
  void Begin(const LayerParameter& param, Phase phase);
  /// The generator for a purpose.
  rng_t For(const std::string& what) const;

  /// For a LayerState's `extra`: all but phase and name.
  std::string ToText() const;
  /// Takes it up again. Throws FileError if it is not what ToText gives.
  void Restore(const LayerState& state, const LayerParameter& param);

 private:
  std::string layer_;  ///< phase and name
  std::uint64_t seed_ = 0;
  unsigned instance_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_LAYER_STREAM_HPP_
