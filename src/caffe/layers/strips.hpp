#ifndef CAFFE_LAYERS_STRIPS_HPP_
#define CAFFE_LAYERS_STRIPS_HPP_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

// Concat and Slice: a whole blob and its parts along one axis.

/// The layout in which parts can be cut or joined by copying whole strips: `block`
/// if no part cuts through a block of channels, else plain.
template <typename Dtype>
int StripBlock(int block, int axis, const std::vector<Blob<Dtype>*>& parts) {
  if (axis > 1) return 1;
  for (const Blob<Dtype>* part : parts) {
    if (part->num_axes() < 2 || part->shape(1) % block != 0) return 1;
  }
  return block;
}

/// One part's place in the whole, counted per index of the axes before `axis`.
template <typename Pointer>
struct Strip {
  Pointer part;         ///< null to leave the part out
  std::int64_t offset;  ///< first element in the whole's row
  std::int64_t length;
};

/// The parts' places, with pointers still to be set; `row` becomes the whole's length.
template <typename Pointer, typename Dtype>
std::vector<Strip<Pointer>> StripsOf(const std::vector<Blob<Dtype>*>& parts, int axis,
                                     std::int64_t* row) {
  std::vector<Strip<Pointer>> strips;
  *row = 0;
  for (const Blob<Dtype>* part : parts) {
    strips.push_back({nullptr, *row, part->count(axis)});
    *row += part->count(axis);
  }
  return strips;
}

/// Calls copy(part element, whole element, length) for every strip, in parallel.
template <typename Pointer, typename Copy>
void ForEachStrip(const std::vector<Strip<Pointer>>& strips, std::int64_t rows,
                  std::int64_t row, const Copy& copy) {
  const std::int64_t parts = static_cast<std::int64_t>(strips.size());
  ParallelTasks(rows * parts, rows * row, [&](std::int64_t task) {
    const Strip<Pointer>& strip = strips[task % parts];
    const std::int64_t r = task / parts;
    if (strip.part)
      copy(strip.part + r * strip.length, r * row + strip.offset, strip.length);
  });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_STRIPS_HPP_
