#ifndef CAFFE_LAYER_TRAITS_HPP_
#define CAFFE_LAYER_TRAITS_HPP_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <typeinfo>
#include <vector>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What a layer's Backward does with the data of one of its blobs, the most first.
enum class DataUse {
  kUnknown,  ///< perhaps reads it, by a pointer that it has kept since Forward
  kRead,
  kReadSign,  ///< reads which elements are above 0, where the gradient is not 0
  kNone
};

/// Whether a layer works when one of its tops is one of its bottoms, and what it leaves
/// there of its input.
enum class InPlace {
  kRefused,
  kChanges,
  kKeepsSign  ///< above 0 stays above 0 and all else does not, where a gradient passes
};

using ChannelAffine =
    std::function<void(std::vector<double>* multiplier, std::vector<double>* shift)>;

/// What a layer tells whoever runs it; a Net decides by it what it fuses, keeps, frees
/// and computes again. The defaults are right for every layer: they cost memory only.
///
/// Lists go by the index of a bottom (top); their last element stands for all behind it.
struct LayerTraits {
  /// The class that the facts are about. Of one that derives from it, and may compute
  /// otherwise, `in_place` is believed alone; so it is without a class.
  const std::type_info* of = nullptr;
  /// The class whose Forward and Backward it runs, if not its own: of a layer that is
  /// another one by another name.
  const std::type_info* computes_as = nullptr;

  /// May this bottom's blob be a top as well? Empty: no. A Net refuses such layers.
  std::vector<InPlace> in_place = {};
  /// Of a layer that works in place itself, bottom and top are the same data; that it
  /// reads a copy of its own does not count. Empty: unknown.
  std::vector<DataUse> bottom_use = {}, top_use = {};
  /// The tops are the memory of the first bottom, from Reshape or Forward on.
  bool shares_bottom = false;
  /// Recompute() works, in few passes over memory.
  bool can_recompute = false;
  /// What Forward_gpu does from the second time on, with equal shapes and parameters: it
  /// starts work of the device in the thread's order, and nothing else. It brings no
  /// value from or to the host, and no value decides what it starts. A Net may then
  /// record that work and start it again as a whole. Not asked of training.
  bool device_only = false;
  /// Set if the layer computes
  ///   top[n, c, ...] = multiplier[c] · bottom[n, c, ...] + shift[c]
  /// over the channels at axis 1: gives the values that Forward would use now. Such a
  /// layer can be folded into the convolution in front of it.
  ChannelAffine channel_affine = {};

  InPlace InPlaceOf(std::size_t bottom) const {
    return At(in_place, bottom, InPlace::kRefused);
  }
  DataUse UseOfBottom(std::size_t i) const {
    return At(bottom_use, i, DataUse::kUnknown);
  }
  DataUse UseOfTop(std::size_t i) const { return At(top_use, i, DataUse::kUnknown); }

 private:
  template <typename T>
  static T At(const std::vector<T>& list, std::size_t i, T fallback) {
    return list.empty() ? fallback : list[std::min(i, list.size() - 1)];
  }
};

/// How a Net will run a layer, and what the layer may rely on.
struct LayerOptions {
  /// Of the arithmetic from the next Reshape on, for layers that have a choice.
  NetParameter::Precision precision = NetParameter::FLOAT32;
  /// False: Backward is never called.
  bool runs_backward = true;
  /// By top: its data stays as Forward wrote it until the next Forward, since no other
  /// layer works in place on it. Empty where nothing is promised, without a Net.
  std::vector<bool> top_preserved;

  bool preserves(std::size_t top) const {
    return top < top_preserved.size() && top_preserved[top];
  }
  bool overwrites(std::size_t top) const {
    return top < top_preserved.size() && !top_preserved[top];
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYER_TRAITS_HPP_
