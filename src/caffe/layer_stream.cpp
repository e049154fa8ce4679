#include "caffe/layer_stream.hpp"

#include <cstdio>

#include "caffe/util/fnv1a.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

void LayerStream::Begin(const LayerParameter& param, Phase phase) {
  layer_ = Str(Phase_Name(phase), '/', param.name(), '/');
  seed_ = Caffe::random_seed();
  instance_ = Caffe::TakeStream(layer_ + std::to_string(seed_));
}

rng_t LayerStream::For(const std::string& what) const {
  Fnv1a stream;
  stream.Add(layer_ + what);
  if (instance_ > 0) stream.Add(Str('/', instance_));
  return rng_t(seed_, stream.value());
}

std::string LayerStream::ToText() const {
  // The first as files of former versions have it.
  return instance_ == 0 ? Str("seed ", seed_)
                        : Str("seed ", seed_, " instance ", instance_);
}

void LayerStream::Restore(const LayerState& state, const LayerParameter& param) {
  unsigned long long seed = 0;
  unsigned instance = 0;
  if (std::sscanf(state.extra().c_str(), "seed %llu instance %u", &seed, &instance) < 1) {
    throw FileError(NameOf(param),
                    Str("its saved state '", state.extra(),
                        "' is not one of a data layer; was it saved by another net?"));
  }
  seed_ = seed;
  instance_ = instance;
}

}  // namespace caffe
