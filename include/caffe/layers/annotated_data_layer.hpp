#ifndef CAFFE_ANNOTATED_DATA_LAYER_HPP_
#define CAFFE_ANNOTATED_DATA_LAYER_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/layers/data_layer.hpp"

namespace caffe {

class AnnotatedTransform;

/// Images and the boxes in them, from a database of AnnotatedDatum messages.
///
/// Tops: images (N, C, H, W); with a second one the boxes of the batch (1, 1, G, 8),
/// each a row (image in the batch, class, instance, xmin, ymin, xmax, ymax, difficult)
/// with corners as shares of the image's sides, or one row of -1 if there are none. If
/// neither the first entry nor anno_type tells a type of annotation it is the labels (N).
/// Parameters: data_param as Data's; annotated_data_param {batch_sampler, anno_type};
/// transform_param, whose random changes are those of SSD, made to image and boxes alike:
/// colours (distort_param), a larger image about it filled with mean_value
/// (expand_param), one box of those that the samplers draw, size (resize_param),
/// crop_size or crop_h and crop_w, mirror. emit_constraint says which boxes stay. Every
/// draw depends on seed, layer, phase and number of the sample alone, as Data's do.
/// Source: SSD's Caffe (Liu et al., ECCV 2016). label_map_file is not read: classes are
/// the numbers in the database.
template <typename Dtype>
class AnnotatedDataLayer : public DataLayer<Dtype> {
 public:
  explicit AnnotatedDataLayer(const LayerParameter& param);
  ~AnnotatedDataLayer() override;
  void DataLayerSetUp(const vector<Blob<Dtype>*>& bottom,
                      const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "AnnotatedData"; }

 protected:
  std::unique_ptr<DecodedSample> DecodeEntry(const string& bytes,
                                             std::uint64_t sample) const override;
  std::unique_ptr<DecodedSample> BlankEntry(const string& bytes) const override;
  void DeliverLabels(int device, Batch<Dtype>* batch,
                     const vector<Blob<Dtype>*>& top) override;

 private:
  std::unique_ptr<AnnotatedTransform> transform_;
  bool has_boxes_ = false;
};

}  // namespace caffe

#endif  // CAFFE_ANNOTATED_DATA_LAYER_HPP_
