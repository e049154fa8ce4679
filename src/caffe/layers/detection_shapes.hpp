#ifndef CAFFE_LAYERS_DETECTION_SHAPES_HPP_
#define CAFFE_LAYERS_DETECTION_SHAPES_HPP_

#include <cstdint>
#include <vector>

#include "caffe/layer.hpp"
#include "caffe/util/layer_name.hpp"

namespace caffe {

/// The number of priors in `bottom`: offsets, scores and prior boxes. Throws if these do
/// not fit together.
template <typename Dtype>
int NumPriors(const LayerParameter& param, const vector<Blob<Dtype>*>& bottom,
              int num_classes, int num_loc_classes) {
  const Blob<Dtype>& priors = *bottom[2];
  if (priors.num_axes() < 3 || priors.shape(0) != 1 || priors.shape(1) != 2 ||
      priors.count(2) % 4 != 0) {
    throw ValueError(
        Str(NameOfBottom(param, 2), ": shape ", ShapeText(priors.shape()),
            ", expected (1, 2, 4 P) with P prior boxes and their variances"));
  }
  const int num_priors = priors.count(2) / 4;
  for (int i = 0; i < 2; ++i) {
    const std::int64_t each = i == 0 ? std::int64_t{4} * num_loc_classes : num_classes;
    if (bottom[i]->num_axes() > 0 && bottom[i]->shape(0) == bottom[0]->shape(0) &&
        bottom[i]->count(1) == each * num_priors) {
      continue;
    }
    throw ValueError(
        Str(NameOfBottom(param, i), ": shape ", ShapeText(bottom[i]->shape()),
            ", expected (N, ", each * num_priors, "): ", each,
            i == 0 ? " offsets" : " scores", " for each of the ", num_priors,
            " prior boxes; check num_classes, share_location and the sizes of PriorBox"));
  }
  return num_priors;
}

}  // namespace caffe

#endif  // CAFFE_LAYERS_DETECTION_SHAPES_HPP_
