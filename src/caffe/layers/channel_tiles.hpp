#ifndef CAFFE_LAYERS_CHANNEL_TILES_HPP_
#define CAFFE_LAYERS_CHANNEL_TILES_HPP_

#include <cstdint>
#include <vector>

#include "caffe/util/parallel_tasks.hpp"

namespace caffe {

/// A tensor whose elements are combined with coefficients that repeat: one per
/// channel (PReLU, Scale, Bias) or one per image and channel (Axpy).
///
/// Seen as (repeats, period / width, spatial, width): `width` neighbouring
/// coefficients form a tile of spatial * width elements, in which element s * width
/// + j goes with the tile's j-th coefficient. Packed data has its block as width,
/// plain data has width 1; both are dense, so tile t starts at t * spatial * width.
struct ChannelTiles {
  std::int64_t repeats;  ///< how often the coefficients are used over again
  std::int64_t period;   ///< number of different coefficients
  std::int64_t spatial;  ///< elements per coefficient and repeat
  int width;

  std::int64_t tile_size() const { return spatial * width; }
  std::int64_t tiles_per_repeat() const { return period / width; }
  std::int64_t count() const { return repeats * period * spatial; }
  /// First element of the p-th tile of repeat r.
  std::int64_t offset(std::int64_t r, std::int64_t p) const {
    return (r * tiles_per_repeat() + p) * tile_size();
  }
};

/// Describes a tensor in layout `block`. With one element per coefficient the plain
/// tensor is cut along the coefficients instead, so that inner loops stay long.
inline ChannelTiles TilesOf(std::int64_t repeats, std::int64_t period,
                            std::int64_t spatial, int block) {
  constexpr int kLongestRow = 4096;
  ChannelTiles tiles{repeats, period, spatial, block};
  if (block == 1 && spatial == 1 && period > 0) {
    std::int64_t width = period;
    while (width > kLongestRow && width % 2 == 0) width /= 2;
    if (width <= kLongestRow) tiles.width = static_cast<int>(width);
  }
  return tiles;
}

/// Tiles of a tensor whose axes [axis, axis + axes) the coefficients cover; no axes
/// stands for a single coefficient. `block` must be what CoefficientBlock allows.
inline ChannelTiles CoefficientTiles(const std::vector<int>& shape, int axis, int axes,
                                     int block) {
  std::int64_t extents[3] = {1, 1, 1};
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    int part = i < axis ? 0 : i < axis + axes ? 1 : 2;
    // A single coefficient repeats along the first axis, to have several tiles.
    if (axes == 0) part = i == 0 ? 0 : 2;
    extents[part] *= shape[i];
  }
  return TilesOf(extents[0], extents[1], extents[2], axes == 0 ? 1 : block);
}

/// Whether such a tensor can be worked on in every layout: the coefficients belong to
/// channels, or there is but one.
inline bool CoefficientsGoWithChannels(int axis, int axes) {
  return axes == 0 || (axis == 1 && axes == 1) || (axis == 0 && axes == 2);
}

/// The layout in which such a tensor can be worked on, given the one it is in.
inline int CoefficientBlock(int axis, int axes, int block) {
  return CoefficientsGoWithChannels(axis, axes) ? block : 1;
}

namespace tile_loops {

/// The loops over one tile for a width known when compiling; 0 stands for any.
template <int kWidth>
struct Loops {
  template <typename Op>
  static void Map(std::int64_t spatial, int width, const Op& op) {
    const int n = kWidth > 0 ? kWidth : width;
    for (std::int64_t s = 0; s < spatial; ++s) {
#pragma omp simd
      for (int j = 0; j < n; ++j) op(s * n + j, j);
    }
  }
  template <typename T, typename Op>
  static void Sum(std::int64_t spatial, int /*width*/, T* sums, const Op& op) {
    T partial[kWidth] = {};
    for (std::int64_t s = 0; s < spatial; ++s) {
#pragma omp simd
      for (int j = 0; j < kWidth; ++j) partial[j] += op(s * kWidth + j, j);
    }
    for (int j = 0; j < kWidth; ++j) sums[j] += partial[j];
  }
};

template <>
template <typename T, typename Op>
inline void Loops<0>::Sum(std::int64_t spatial, int width, T* sums, const Op& op) {
  for (std::int64_t s = 0; s < spatial; ++s) {
#pragma omp simd
    for (int j = 0; j < width; ++j) sums[j] += op(s * width + j, j);
  }
}

template <>
template <typename Op>
inline void Loops<1>::Map(std::int64_t spatial, int /*width*/, const Op& op) {
#pragma omp simd
  for (std::int64_t i = 0; i < spatial; ++i) op(i, 0);
}

template <>
template <typename T, typename Op>
inline void Loops<1>::Sum(std::int64_t spatial, int /*width*/, T* sums, const Op& op) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < spatial; ++i) sum += op(i, 0);
  sums[0] += sum;
}

}  // namespace tile_loops

/// Calls op(i, j) for element i and coefficient j of one tile.
template <typename Op>
inline void MapTile(const ChannelTiles& tiles, const Op& op) {
  switch (tiles.width) {
    case 1:
      return tile_loops::Loops<1>::Map(tiles.spatial, 1, op);
    case 8:
      return tile_loops::Loops<8>::Map(tiles.spatial, 8, op);
    case 16:
      return tile_loops::Loops<16>::Map(tiles.spatial, 16, op);
    default:
      return tile_loops::Loops<0>::Map(tiles.spatial, tiles.width, op);
  }
}

/// Adds op(i, j) over one tile to sums[j].
template <typename T, typename Op>
inline void SumTile(const ChannelTiles& tiles, T* sums, const Op& op) {
  switch (tiles.width) {
    case 1:
      return tile_loops::Loops<1>::Sum(tiles.spatial, 1, sums, op);
    case 8:
      return tile_loops::Loops<8>::Sum(tiles.spatial, 8, sums, op);
    case 16:
      return tile_loops::Loops<16>::Sum(tiles.spatial, 16, sums, op);
    default:
      return tile_loops::Loops<0>::Sum(tiles.spatial, tiles.width, sums, op);
  }
}

/// Runs body(first element, first coefficient) for every tile.
template <typename Body>
void ForEachTile(const ChannelTiles& tiles, const Body& body) {
  const std::int64_t per_repeat = tiles.tiles_per_repeat();
  ParallelTasks(tiles.repeats * per_repeat, tiles.count(), [&](std::int64_t tile) {
    body(tile * tiles.tile_size(), tile % per_repeat * tiles.width);
  });
}

/// Runs body(first element, first coefficient) for every tile; the tiles of one
/// group of coefficients come one after the other on the same thread, so that a
/// body may sum into per-coefficient results.
template <typename Body>
void ForEachTileByCoefficient(const ChannelTiles& tiles, const Body& body) {
  ParallelTasks(tiles.tiles_per_repeat(), tiles.count(), [&](std::int64_t p) {
    for (std::int64_t r = 0; r < tiles.repeats; ++r) {
      body(tiles.offset(r, p), p * tiles.width);
    }
  });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_CHANNEL_TILES_HPP_
