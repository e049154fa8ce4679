#ifndef CAFFE_DATA_ANNOTATED_TRANSFORM_HPP_
#define CAFFE_DATA_ANNOTATED_TRANSFORM_HPP_

#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// An image and the objects in it; corners are shares of its sides.
struct AnnotatedImage {
  cv::Mat image;
  vector<AnnotationGroup> groups;
};

/// Changes images and their boxes together, in this order: colours (distort_param),
/// a larger image about it (expand_param), one of the boxes that the samplers draw,
/// size (resize_param), crop_size or crop_h and crop_w (anywhere in TRAIN, else in the
/// middle), mirror. Boxes are clipped to what is left of the image; those that
/// emit_constraint rules out, or of which nothing is left, are gone.
class AnnotatedTransform {
 public:
  /// Throws ValueError if a field is out of its range.
  AnnotatedTransform(const TransformationParameter& param,
                     const AnnotatedDataParameter& samplers, Phase phase);

  /// Takes no more than kMaxAnnotationDraws numbers.
  void Apply(rng_t* rng, AnnotatedImage* image) const;

  /// What is left to do for DataTransformer.
  static TransformationParameter Rest(const TransformationParameter& param);

 private:
  void Distort(rng_t* rng, cv::Mat* image) const;
  void Expand(rng_t* rng, AnnotatedImage* image) const;
  void CropToSample(rng_t* rng, AnnotatedImage* image) const;
  void Resize(rng_t* rng, AnnotatedImage* image) const;
  void Crop(rng_t* rng, AnnotatedImage* image) const;
  void KeepInside(const NormalizedBBox& window, AnnotatedImage* image) const;

  TransformationParameter param_;
  AnnotatedDataParameter samplers_;
  Phase phase_;
};

inline constexpr std::uint64_t kMaxAnnotationDraws = std::uint64_t{1} << 20;

}  // namespace caffe

#endif  // CAFFE_DATA_ANNOTATED_TRANSFORM_HPP_
