#ifndef CAFFE_LAYERS_SHAPE_PARAM_HPP_
#define CAFFE_LAYERS_SHAPE_PARAM_HPP_

#include <climits>
#include <cstdint>
#include <vector>

#include "caffe/error.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// The shape written in a layer's parameters under the name `field`.
inline std::vector<int> ShapeFromParam(const char* field, const BlobShape& shape) {
  std::vector<int> extents;
  for (const std::int64_t dim : shape.dim()) {
    if (dim < 0 || dim > INT_MAX) {
      throw ValueError(Str(field, " has the extent ", dim, ", expected 0 to ", INT_MAX));
    }
    extents.push_back(static_cast<int>(dim));
  }
  return extents;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_SHAPE_PARAM_HPP_
