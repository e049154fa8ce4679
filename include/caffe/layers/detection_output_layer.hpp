#ifndef CAFFE_DETECTION_OUTPUT_LAYER_HPP_
#define CAFFE_DETECTION_OUTPUT_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Detections out of boxes and scores.
///
/// Bottoms: offsets (N, 4 P L), by prior and, without share_location, class; scores
/// (N, P K), by prior and class; prior boxes (1, 2, 4 P). L is 1 with share_location,
/// else K = num_classes. Further bottoms are not read. Each class but the background
/// takes the nms_param.top_k largest scores above confidence_threshold, decodes their
/// boxes (EncodeBBox in util/bbox_util.hpp has the formulas) and drops those that overlap
/// a better one by more than nms_threshold. Of all classes the keep_top_k best of an
/// image stay. Top (1, 1, D, 7): rows (image, class, score, xmin, ymin, xmax, ymax), by
/// image, class and score. Without any, a row (image, -1, ...) for each image. There is
/// no gradient. Parameters: detection_output_param {num_classes, share_location true,
/// background_label_id 0 or -1 for none, nms_param {nms_threshold 0.3, top_k all, eta 1},
/// code_type CORNER, variance_encoded_in_target false, keep_top_k all,
/// confidence_threshold none}.
/// Source: SSD's Caffe (Liu et al., ECCV 2016). Differs from it: nothing is written to
/// files or drawn, and save_output_param.output_directory and `visualize` are errors.
template <typename Dtype>
class DetectionOutputLayer : public Layer<Dtype> {
 public:
  explicit DetectionOutputLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "DetectionOutput"; }
  inline int MinBottomBlobs() const override { return 3; }
  inline int MaxBottomBlobs() const override { return 4; }
  inline int ExactNumTopBlobs() const override { return 1; }
  vector<string> BottomNames() const override {
    return {"offsets", "scores", "prior boxes", "the images (optional)"};
  }
  LayerTraits Traits() const override;
  inline bool AllowForceBackward(const int /*bottom_index*/) const override {
    return false;
  }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  int num_classes_ = 0, num_loc_classes_ = 0, num_priors_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_DETECTION_OUTPUT_LAYER_HPP_
