#ifndef CAFFE_LAYERS_AXPY_ARITHMETIC_HPP_
#define CAFFE_LAYERS_AXPY_ARITHMETIC_HPP_

// out = a * x + y on the processor, as arrays and shapes. plugin/ compiles this file for
// other people's Caffe, so it is C++11 and knows nothing of the engine.

#include <algorithm>
#include <cstdint>

#include "caffe/layers/channel_tiles.hpp"

namespace caffe {

/// Tiles of x, y and out: `rows` = N * C factors, each for `spatial` elements; `block`
/// channels lie side by side, 1 in plain NCHW.
inline ChannelTiles AxpyTiles(std::int64_t rows, std::int64_t spatial, int block) {
  return TilesOf(1, rows, spatial, block);
}

/// out may be y.
template <typename T>
void AxpyForward(const ChannelTiles& tiles, const T* a, const T* x, const T* y, T* out) {
  ForEachTile(tiles, [=](std::int64_t first, std::int64_t channel) {
    MapTile(tiles, [=](std::int64_t i, int j) {
      out[first + i] = a[channel + j] * x[first + i] + y[first + i];
    });
  });
}

/// da, dx and dy; a null pointer skips one. x is read for da alone.
template <typename T>
void AxpyBackward(const ChannelTiles& tiles, const T* a, const T* x, const T* d_out,
                  T* da, T* dx, T* dy) {
  // All three gradients tile by tile: d_out comes from memory once.
  ForEachTile(tiles, [=](std::int64_t first, std::int64_t channel) {
    if (da) {
      std::fill(da + channel, da + channel + tiles.width, T(0));
      SumTile(tiles, da + channel,
              [=](std::int64_t i, int) { return d_out[first + i] * x[first + i]; });
    }
    if (dx) {
      MapTile(tiles, [=](std::int64_t i, int j) {
        dx[first + i] = a[channel + j] * d_out[first + i];
      });
    }
    if (dy) std::copy_n(d_out + first, tiles.tile_size(), dy + first);
  });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_AXPY_ARITHMETIC_HPP_
