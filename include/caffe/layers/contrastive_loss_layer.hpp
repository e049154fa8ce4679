#ifndef CAFFE_CONTRASTIVE_LOSS_LAYER_HPP_
#define CAFFE_CONTRASTIVE_LOSS_LAYER_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Pairs that are similar shall be close, others at least a margin apart:
/// loss = 1 / (2 N) sum over pairs of  y d^2 + (1 - y) max(margin - d, 0)^2  with
/// d = |a - b|; with contrastive_loss_param.legacy_version the second term is
/// (1 - y) max(margin - d^2, 0), as the first implementation had it.
///
/// bottoms a, b: N x C; axes behind the first are one vector. bottom[2]: N values y, not
/// 0 for a similar pair. contrastive_loss_param.margin is 1 by default.
/// da = f (a - b) loss_weight / N, db = -da, with f = 1 for similar pairs and, within the
/// margin, f = -(margin - d) / (d + 1e-4), or -1 in the legacy version; else 0. The 1e-4
/// is Caffe's and keeps the division possible. The labels have no gradient.
/// Source: Hadsell et al., CVPR 2006.
template <typename Dtype>
class ContrastiveLossLayer : public LossLayer<Dtype> {
 public:
  explicit ContrastiveLossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "ContrastiveLoss"; }
  virtual inline int ExactNumBottomBlobs() const { return 3; }
  vector<string> BottomNames() const override { return {"a", "b", "similar"}; }
  /// Unlike with other losses, the first two bottoms are both predictions.
  virtual inline bool AllowForceBackward(const int bottom_index) const {
    return bottom_index != 2;
  }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  /// By dist_sq_; on the host, as there is one number for a pair.
  Dtype Loss(const Blob<Dtype>& similar) const;
  /// f of every pair, times loss_weight / N.
  void SetFactors(const Blob<Dtype>& similar, Dtype loss_weight);

  Blob<Dtype> diff_;     ///< a - b
  Blob<Dtype> dist_sq_;  ///< d^2 of every pair
  Blob<Dtype> factors_;
};

}  // namespace caffe

#endif  // CAFFE_CONTRASTIVE_LOSS_LAYER_HPP_
