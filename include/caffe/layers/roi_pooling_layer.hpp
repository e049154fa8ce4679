#ifndef CAFFE_ROI_POOLING_LAYER_HPP_
#define CAFFE_ROI_POOLING_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Largest values of a grid over each region of interest.
///
/// Bottoms: maps (N, C, H, W), and regions (R, 5) or (R, 5, 1, 1), rows (image, x1, y1,
/// x2, y2) in pixels of the image, the last row and column within. Top (R, C, pooled_h,
/// pooled_w). In the map a region begins at y = round(y1 s), s being spatial_scale, and
/// has h = round(y2 s) - y + 1 rows, at least 1; row i of the grid is of rows y + floor(i
/// h / pooled_h) to before y + ceil((i + 1) h / pooled_h), as far as they are in the map;
/// columns likewise. A cell without a pixel is 0.
/// dmaps: each cell's dtop goes to its first largest pixel. The regions have no gradient.
/// Parameters: roi_pooling_param {pooled_h, pooled_w, spatial_scale 1}.
/// Source: Fast R-CNN (Girshick, ICCV 2015).
template <typename Dtype>
class ROIPoolingLayer : public Layer<Dtype> {
 public:
  explicit ROIPoolingLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "ROIPooling"; }
  inline int ExactNumBottomBlobs() const override { return 2; }
  inline int ExactNumTopBlobs() const override { return 1; }
  vector<string> BottomNames() const override { return {"the maps", "the regions"}; }
  LayerTraits Traits() const override;
  inline bool AllowForceBackward(const int bottom_index) const override {
    return bottom_index == 0;
  }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  void CheckRegions(const Blob<Dtype>& maps, const Blob<Dtype>& regions) const;

  int pooled_height_ = 0, pooled_width_ = 0;
  Dtype spatial_scale_ = 0;
  /// Of each cell, the largest pixel's place in its plane; -1 without one.
  Blob<int> max_idx_;
};

}  // namespace caffe

#endif  // CAFFE_ROI_POOLING_LAYER_HPP_
