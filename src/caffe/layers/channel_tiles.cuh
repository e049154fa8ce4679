#ifndef CAFFE_LAYERS_CHANNEL_TILES_CUH_
#define CAFFE_LAYERS_CHANNEL_TILES_CUH_

// ChannelTiles on a GPU, where data with the channels last has all of them as width.

#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/tensor.hpp"
#include "caffe/layers/channel_tiles.hpp"

namespace caffe {

/// The format in which a tensor can be worked on whose axes [axis, axis + axes) the
/// coefficients cover, given the one it is in.
inline DeviceFormat CoefficientFormat(int axis, int axes, DeviceFormat format) {
  return CoefficientsGoWithChannels(axis, axes) ? format : DeviceFormat();
}

/// Its tiles; `layout` must be what CoefficientFormat allows.
inline ChannelTiles CoefficientTiles(const std::vector<int>& shape, int axis, int axes,
                                     DeviceLayout layout) {
  const bool plain = layout == DeviceLayout::kPlain || shape.size() < 2 || shape[1] == 0;
  return CoefficientTiles(shape, axis, axes, plain ? 1 : shape[1]);
}

/// Which coefficient an element goes with.
class CoefficientIndex {
 public:
  explicit CoefficientIndex(const ChannelTiles& tiles)
      : by_tile_(static_cast<int>(tiles.tile_size())),
        by_repeat_(static_cast<int>(tiles.tiles_per_repeat())),
        by_width_(tiles.width) {}

  CAFFE_HOST_DEVICE int operator()(int i) const {
    const int tile = by_repeat_.Remainder(by_tile_.Quotient(i));
    return tile * by_width_.divisor() + by_width_.Remainder(i);
  }

 private:
  Divisor by_tile_, by_repeat_, by_width_;
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_CHANNEL_TILES_CUH_
