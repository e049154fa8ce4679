#ifndef CAFFE_LAYERS_STRIPS_HPP_
#define CAFFE_LAYERS_STRIPS_HPP_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "caffe/ops/tensor.hpp"
#include "caffe/util/parallel.hpp"

namespace caffe {

// Concat and Slice: a whole blob and its parts along one axis.

/// The layout in which parts can be cut or joined by copying whole strips: `block`
/// if no part cuts through a block of channels, else plain.
template <typename T>
int StripBlock(int block, int axis, const std::vector<Tensor<T>>& parts) {
  if (axis > 1) return 1;
  for (const Tensor<T>& part : parts) {
    if (part.shape().size() < 2 || part.shape()[1] % block != 0) return 1;
  }
  return block;
}

/// A strip is what a part has at one index of the axes before `axis`. Calls copy(part,
/// first element in it, first element in the whole, length) for all, in parallel.
template <typename T, typename Copy>
void ForEachStrip(const std::vector<Tensor<T>>& parts, int axis, const Copy& copy) {
  std::int64_t rows = 1;
  for (int i = 0; i < axis; ++i) rows *= parts[0].shape()[i];
  std::vector<std::int64_t> begins = {0};
  for (const Tensor<T>& part : parts) {
    begins.push_back(begins.back() + (rows > 0 ? part.count() / rows : 0));
  }
  const std::int64_t row = begins.back();
  const std::int64_t num = static_cast<std::int64_t>(parts.size());
  ParallelTasks(rows * num, rows * row, [&](std::int64_t task) {
    const std::int64_t part = task % num, r = task / num;
    const std::int64_t length = begins[part + 1] - begins[part];
    copy(part, r * length, r * row + begins[part], length);
  });
}

/// whole = the parts, side by side along `axis`.
template <typename T>
void Join(const std::vector<Tensor<T>>& parts, int axis, Tensor<T> whole) {
  const int block = StripBlock(CommonBlock(parts), axis, parts);
  std::vector<const T*> from;
  for (const Tensor<T>& part : parts) from.push_back(part.Read(block));
  T* to = whole.Write(block);
  ForEachStrip(parts, axis,
               [&](std::int64_t part, std::int64_t in_part, std::int64_t in_whole,
                   std::int64_t length) {
                 std::copy_n(from[part] + in_part, length, to + in_whole);
               });
}

/// The inverse, for the parts that are wanted.
template <typename T>
void Cut(Tensor<T> whole, int axis, const std::vector<Tensor<T>>& parts,
         const std::vector<bool>& wanted) {
  const int block = StripBlock(whole.block(), axis, parts);
  const T* from = whole.Read(block);
  std::vector<T*> to;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    to.push_back(wanted[i] ? parts[i].Write(block) : nullptr);
  }
  ForEachStrip(parts, axis,
               [&](std::int64_t part, std::int64_t in_part, std::int64_t in_whole,
                   std::int64_t length) {
                 if (to[part]) std::copy_n(from + in_whole, length, to[part] + in_part);
               });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_STRIPS_HPP_
