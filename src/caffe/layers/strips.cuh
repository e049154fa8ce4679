#ifndef CAFFE_LAYERS_STRIPS_CUH_
#define CAFFE_LAYERS_STRIPS_CUH_

#include <cstddef>
#include <vector>

#include "caffe/gpu/divisor.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/gpu/tensor.hpp"

namespace caffe {

// Concat, Slice and Tile on a GPU: a tensor cut along one axis, in either layout.

/// The elements of a tensor as (rows, length): `rows` indices of the axes that lie before
/// `axis` in memory, `length` elements from that axis on.
struct Strips {
  int rows, length;
};

inline Strips StripsOf(const std::vector<int>& shape, int axis, DeviceLayout layout) {
  const int axes = static_cast<int>(shape.size());
  // Where an axis lies: the channels may be behind all others.
  const auto place = [=](int a) {
    if (layout == DeviceLayout::kPlain || axes < 3 || a == 0) return a;
    return a == 1 ? axes - 1 : a - 1;
  };
  Strips strips{1, 1};
  for (int a = 0; a < axes; ++a) {
    (place(a) < place(axis) ? strips.rows : strips.length) *= shape[a];
  }
  return strips;
}

/// whole[r, begin + i] = part[r, i], or the inverse. The rows of `whole` are `row` long.
template <typename S>
void CopyStrips(const Strips& part, int row, int begin, bool into_whole, const S* from,
                S* to) {
  const Divisor length(part.length);
  const int gap = row - part.length;
  const int in_part = into_whole ? 1 : 0;
  ForEach<S>(
      part.rows * part.length,
      [=] __device__(int i) {
        return from[in_part ? i : i + begin + length.Quotient(i) * gap];
      },
      [=] __device__(int i, S value) {
        to[in_part ? i + begin + length.Quotient(i) * gap : i] = value;
      });
}

/// whole = the parts, side by side along `axis`.
template <typename T>
void JoinOnDevice(const std::vector<DeviceTensor<T>>& parts, int axis,
                  DeviceTensor<T> whole) {
  const DeviceFormat format = CommonFormat(parts);
  const int row = StripsOf(whole.shape(), axis, format.layout).length;
  WithElement<T>(format.type, [&]<typename S>(S) {
    S* to = WriteElements<S>(whole, format);
    int begin = 0;
    for (const DeviceTensor<T>& part : parts) {
      const Strips strips = StripsOf(part.shape(), axis, format.layout);
      CopyStrips(strips, row, begin, true, ReadElements<S>(part, format), to);
      begin += strips.length;
    }
  });
}

/// The inverse, for the parts that are wanted.
template <typename T>
void CutOnDevice(DeviceTensor<T> whole, int axis,
                 const std::vector<DeviceTensor<T>>& parts,
                 const std::vector<bool>& wanted) {
  const DeviceFormat format = whole.format();
  const int row = StripsOf(whole.shape(), axis, format.layout).length;
  WithElement<T>(format.type, [&]<typename S>(S) {
    const S* from = ReadElements<S>(whole, format);
    int begin = 0;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const Strips strips = StripsOf(parts[p].shape(), axis, format.layout);
      if (wanted[p]) {
        CopyStrips(strips, row, begin, false, from, WriteElements<S>(parts[p], format));
      }
      begin += strips.length;
    }
  });
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_STRIPS_CUH_
