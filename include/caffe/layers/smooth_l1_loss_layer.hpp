#ifndef CAFFE_SMOOTH_L1_LOSS_LAYER_HPP_
#define CAFFE_SMOOTH_L1_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// loss = 1 / N * sum of outside f(inside (a - b)), with N the extent of axis 0, and
///   f(d) = (sigma d)^2 / 2 where |d| < 1 / sigma^2, else |d| - 1 / (2 sigma^2).
///
/// Bottoms, of as many elements: a, b, and optionally the weights `inside` and `outside`,
/// 1 without. a and b have a gradient: da = outside inside f'(inside (a - b)) / N *
/// loss_weight, db = -da; the weights have none.
/// Parameters: smooth_l1_loss_param {sigma 1}.
/// Source: Fast R-CNN (Girshick, ICCV 2015), whose Caffe has all four bottoms; SSD's has
/// the first three.
template <typename Dtype>
class SmoothL1LossLayer : public LossLayer<Dtype> {
 public:
  explicit SmoothL1LossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "SmoothL1Loss"; }
  inline int ExactNumBottomBlobs() const override { return -1; }
  inline int MinBottomBlobs() const override { return 2; }
  inline int MaxBottomBlobs() const override { return 4; }
  vector<string> BottomNames() const override {
    return {"predictions", "targets", "inside weights (optional)",
            "outside weights (optional)"};
  }
  /// Both of what is compared may be predictions.
  inline bool AllowForceBackward(const int bottom_index) const override {
    return bottom_index < 2;
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
  void CheckGradients(const vector<bool>& propagate_down) const;
};

}  // namespace caffe

#endif  // CAFFE_SMOOTH_L1_LOSS_LAYER_HPP_
