#ifndef CAFFE_LAYERS_COEFFICIENT_SHAPE_HPP_
#define CAFFE_LAYERS_COEFFICIENT_SHAPE_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

// Shapes of the coefficients of Scale and Bias: some neighbouring axes of bottom[0].

/// Shape of learned coefficients by the parameters `axis` and `num_axes`.
inline vector<int> LearnedShape(const LayerParameter& param, const vector<int>& bottom,
                                int axis, int num_axes) {
  const int axes = static_cast<int>(bottom.size());
  if (num_axes < -1 || axis + num_axes > axes) {
    throw ValueError(
        Str(NameOfBottom(param, 0), ": shape ", ShapeText(bottom), " has ", axes,
            " axes, but axis ", axis, " and num_axes ", num_axes,
            " ask for others; num_axes is -1 (all the rest), 0 (a scalar) or "
            "at most ",
            axes - axis));
  }
  const auto begin = bottom.begin() + axis;
  return vector<int>(begin, num_axes == -1 ? bottom.end() : begin + num_axes);
}

/// Throws unless `shape` equals the axes of `bottom` from `axis` on.
inline void CheckCoefficientShape(const LayerParameter& param, const string& what,
                                  const vector<int>& shape, const vector<int>& bottom,
                                  int axis) {
  bool fits = axis + shape.size() <= bottom.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] == bottom[axis + i];
  if (fits) return;
  const auto begin = bottom.begin() + axis;
  const auto wanted = std::min(shape.size(), bottom.size() - axis);
  throw ValueError(Str(what, ": shape ", ShapeText(shape), ", expected ",
                       ShapeText(vector<int>(begin, begin + wanted)), ", the axes of ",
                       NameOfBottom(param, 0), " of shape ", ShapeText(bottom),
                       " from axis ", axis, " on"));
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_COEFFICIENT_SHAPE_HPP_
