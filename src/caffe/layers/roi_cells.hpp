#ifndef CAFFE_LAYERS_ROI_CELLS_HPP_
#define CAFFE_LAYERS_ROI_CELLS_HPP_

#include <cmath>

#include "caffe/common.hpp"

namespace caffe {

/// Which rows and columns of a map a cell of ROIPooling is of, for CPU and GPU alike. In
/// Dtype, as Fast R-CNN's: where a product is rounded up, a cell has a row more.
template <typename Dtype>
struct RoiCells {
  int height, width;  ///< of the map
  int pooled_height, pooled_width;
  Dtype scale;

  struct Range {
    int begin, end;
  };

  /// Of cell i of `cells`, between `first` and `last` in pixels of the image.
  CAFFE_HOST_DEVICE Range Of(Dtype first, Dtype last, int i, int cells,
                             int extent) const {
    const int start = static_cast<int>(std::round(first * scale));
    const int stop = static_cast<int>(std::round(last * scale));
    const int length = stop - start + 1 > 1 ? stop - start + 1 : 1;
    const Dtype size = static_cast<Dtype>(length) / static_cast<Dtype>(cells);
    const int begin = start + static_cast<int>(std::floor(static_cast<Dtype>(i) * size));
    const int end = start + static_cast<int>(std::ceil(static_cast<Dtype>(i + 1) * size));
    return {Within(begin, extent), Within(end, extent)};
  }
  CAFFE_HOST_DEVICE static int Within(int place, int extent) {
    return place < 0 ? 0 : place > extent ? extent : place;
  }
  CAFFE_HOST_DEVICE Range Rows(const Dtype* region, int i) const {
    return Of(region[2], region[4], i, pooled_height, height);
  }
  CAFFE_HOST_DEVICE Range Columns(const Dtype* region, int j) const {
    return Of(region[1], region[3], j, pooled_width, width);
  }
  /// The place of the largest of a plane's pixels in a cell, -1 without any.
  CAFFE_HOST_DEVICE int Largest(const Dtype* plane, Range rows, Range columns) const {
    int largest = -1;
    for (int y = rows.begin; y < rows.end; ++y) {
      for (int x = columns.begin; x < columns.end; ++x) {
        const int at = y * width + x;
        if (largest < 0 || plane[at] > plane[largest]) largest = at;
      }
    }
    return largest;
  }
};

}  // namespace caffe

#endif  // CAFFE_LAYERS_ROI_CELLS_HPP_
