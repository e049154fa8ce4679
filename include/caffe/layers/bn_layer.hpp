#ifndef CAFFE_BN_LAYER_HPP_
#define CAFFE_BN_LAYER_HPP_

#include <vector>

#include "caffe/layers/cudnn_batch_norm_layer.hpp"

namespace caffe {

/// The batch normalisations that SegNet, PSPNet and yjxiong's Caffe call BN.
///
/// Bottom and top (N, C, ...); y = scale (x - mean) / sqrt(var + eps) + shift per
/// channel, with the gradients of CuDNNBatchNorm. Works in place. bn_param tells which it
/// is:
///   slope_filler, bias_filler, momentum 0.9, eps 1e-5 or frozen: yjxiong's. In TEST, or
///     frozen, the running values are used; frozen learns nothing.
///   moving_average false, decay 0.05, var_eps 1e-10, or a `param` for each of four
///   blobs:
///     PSPNet's. In TEST the running values are used with moving_average, else the
///     batch's; decay is the weight of the batch in them.
///   scale_filler, shift_filler, bn_mode LEARN, or none of all these: SegNet's. LEARN
///   uses
///     the batch's mean and variance with an eps of 1e-9, in TEST, too; INFERENCE is
///     y = scale x + shift.
/// Blobs, each (1, C, 1, 1): scale and shift; the first two forms also have the running
/// mean and variance (starting at 0, the latter at 1 when frozen), of which the variance
/// is unbiased, as by those Caffes' cuDNN engine, and neither is learned. Differs from
/// all three: without a filler scales start at 1, not 0.
template <typename Dtype>
class BNLayer : public CuDNNBatchNormLayer<Dtype> {
 public:
  explicit BNLayer(const LayerParameter& param) : CuDNNBatchNormLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  inline const char* type() const override { return "BN"; }
  LayerTraits Traits() const override;
};

}  // namespace caffe

#endif  // CAFFE_BN_LAYER_HPP_
