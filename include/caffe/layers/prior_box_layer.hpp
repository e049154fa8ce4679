#ifndef CAFFE_PRIOR_BOX_LAYER_HPP_
#define CAFFE_PRIOR_BOX_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Boxes of several sizes and aspects about every place of a map.
///
/// Bottoms: the map (N, C, H, W), and the images (N, C', H', W'), of which the shapes
/// alone count. Top (1, 2, 4 H W K): the corners xmin, ymin, xmax, ymax as shares of the
/// image, by row, column and box, and then the variances in the same order. There is no
/// gradient. The place (i, j) has its centre at ((j + offset) step_w, (i + offset)
/// step_h) pixels. For each min_size s its boxes are s x s; sqrt(s t) x sqrt(s t) if
/// there is a max_size t; and for each aspect ratio a but 1, and 1 / a with `flip`, s
/// sqrt(a) x s / sqrt(a). Parameters: prior_box_param {min_size, max_size, aspect_ratio,
/// flip true, clip false, variance 0.1 or four, img_size or img_h and img_w of bottom[1],
/// step or step_h and step_w of the image's size by the map's, offset 0.5}. Source: SSD's
/// Caffe (Liu et al., ECCV 2016), which cuts the sizes to whole pixels, too.
template <typename Dtype>
class PriorBoxLayer : public Layer<Dtype> {
 public:
  explicit PriorBoxLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "PriorBox"; }
  inline int ExactNumBottomBlobs() const override { return 2; }
  inline int ExactNumTopBlobs() const override { return 1; }
  vector<string> BottomNames() const override { return {"the map", "the images"}; }
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
  /// Width and height in pixels.
  vector<pair<float, float>> boxes_;
  vector<float> variance_;                                     ///< four
  float image_h_ = 0, image_w_ = 0, step_h_ = 0, step_w_ = 0;  ///< 0 if not given
};

}  // namespace caffe

#endif  // CAFFE_PRIOR_BOX_LAYER_HPP_
