#ifndef CAFFE_UNIT_NORM_LAYER_HPP_
#define CAFFE_UNIT_NORM_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/**
 * @brief Gives the channels at every position unit length and multiplies them by one
 *        learned scale each.
 *
 * @f$ y_{ncs} = \gamma_c x_{ncs} / \sqrt{\epsilon + \sum_k x_{nks}^2} @f$
 *
 * scale_param.filler initialises @f$ \gamma @f$ (default: constant 1).
 */
template <typename Dtype>
class UnitNormLayer : public Layer<Dtype> {
 public:
  explicit UnitNormLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "UnitNorm"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  Dtype eps_;
  // 1 / norm at every position: N x 1 x H x W.
  Blob<Dtype> inv_norm_;
  // x / norm, kept for the gradient of the scale.
  Blob<Dtype> unit_;
  // One image of scratch, and one row of it.
  Blob<Dtype> buffer_;
  Blob<Dtype> row_;
  Blob<Dtype> sum_channel_multiplier_;
  Blob<Dtype> sum_spatial_multiplier_;
};

}  // namespace caffe

#endif  // CAFFE_UNIT_NORM_LAYER_HPP_
