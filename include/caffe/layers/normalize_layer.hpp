#ifndef CAFFE_NORMALIZE_LAYER_HPP_
#define CAFFE_NORMALIZE_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

struct NormGroups;

/// Divides by the L2 norm, and multiplies by a learned scale.
///
/// Bottom and top (N, C, ...). y = scale x / n with n = sqrt(sum of x^2 + eps), the sum
/// over all of an image with `across_spatial`, or else over the channels of each place.
/// Blob: the scale, () for all channels with `channel_shared`, or else (C).
/// dx = (scale dy - x (sum of scale dy x) / n^2) / n; dscale = sum of dy x / n.
/// Parameters: norm_param {across_spatial true, channel_shared true, eps 1e-10,
/// scale_filler constant 1}.
/// Source: SSD's Caffe (Liu et al., ECCV 2016; ParseNet, 2015). Differs from it: with a
/// scale for each channel dx has the scales inside the sum, which is the derivative.
template <typename Dtype>
class NormalizeLayer : public Layer<Dtype> {
 public:
  explicit NormalizeLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "Normalize"; }
  inline int ExactNumBottomBlobs() const override { return 1; }
  inline int ExactNumTopBlobs() const override { return 1; }
  LayerTraits Traits() const override;

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

  NormGroups Groups(const Blob<Dtype>& bottom) const;
  /// From one channel's scale to the next.
  int scale_step() const { return this->blobs_[0]->count() == 1 ? 0 : 1; }

  Blob<double> inverse_norm_;  ///< of each group
};

}  // namespace caffe

#endif  // CAFFE_NORMALIZE_LAYER_HPP_
