#ifndef CAFFE_LOSS_LAYER_HPP_
#define CAFFE_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// The least probability that loss layers take the logarithm of: those of other Caffes
/// clamp smaller ones to it.
constexpr float kLOG_THRESHOLD = 1e-20f;

/// Base of loss layers: bottom[0] predictions, bottom[1] targets, top[0] a scalar.
///
/// The first top enters the objective with weight 1 unless loss_weight says otherwise.
/// The top may be left out of a prototxt; Net then adds it.
template <typename Dtype>
class LossLayer : public Layer<Dtype> {
 public:
  explicit LossLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline int ExactNumBottomBlobs() const { return 2; }
  virtual inline int ExactNumTopBlobs() const { return 1; }
  virtual inline bool AutoTopBlobs() const { return true; }
  /// Targets usually have no gradient.
  virtual inline bool AllowForceBackward(const int bottom_index) const {
    return bottom_index != 1;
  }

 protected:
  /// loss_param's normalization; where it is absent by the old `normalize`, and by
  /// `otherwise` where that is, too.
  LossParameter_NormalizationMode NormalizationMode(
      LossParameter_NormalizationMode otherwise) const;
  /// What the summed loss of `outer_num` samples with `inner_num` positions each is
  /// divided by, at least 1. `valid_count` positions have a label that counts.
  static Dtype LossNormalizer(LossParameter_NormalizationMode mode, int outer_num,
                              int inner_num, int valid_count);
};

}  // namespace caffe

#endif  // CAFFE_LOSS_LAYER_HPP_
