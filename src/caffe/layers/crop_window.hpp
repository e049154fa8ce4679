#ifndef CAFFE_LAYERS_CROP_WINDOW_HPP_
#define CAFFE_LAYERS_CROP_WINDOW_HPP_

#include <cstdint>
#include <vector>

#include "caffe/blob.hpp"

namespace caffe {

/// Where the elements of a window lie in the blob that it is cut from.
struct CropWindow {
  struct Axis {
    int extent;  ///< of the window
    int stride;  ///< in the blob
  };

  std::vector<Axis> axes;  ///< of the rows; axes that are neighbours in both are one
  int row;                 ///< elements in a row, which lie side by side in both
  int first = 0;           ///< place of the window's first element in the blob

  CropWindow(const std::vector<int>& blob, const std::vector<int>& window,
             const int* offsets)
      : row(1) {
    int stride = 1;
    bool whole = true;  // of all axes behind this one the window has everything
    for (int i = static_cast<int>(blob.size()) - 1; i >= 0; --i) {
      first += offsets[i] * stride;
      if (whole) {
        row *= window[i];
      } else if (!axes.empty() && axes.back().stride * axes.back().extent == stride) {
        axes.back().extent *= window[i];
      } else {
        axes.push_back({window[i], stride});
      }
      whole = whole && window[i] == blob[i];
      stride *= blob[i];
    }
  }

  std::int64_t rows() const {
    std::int64_t count = 1;
    for (const Axis& axis : axes) count *= axis.extent;
    return count;
  }
  /// Place of the first element of row r in the blob.
  std::int64_t PlaceOf(std::int64_t r) const {
    std::int64_t place = first;
    for (const Axis& axis : axes) {
      place += r % axis.extent * axis.stride;
      r /= axis.extent;
    }
    return place;
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_CROP_WINDOW_HPP_
