#ifndef CAFFE_UPSAMPLE_LAYER_HPP_
#define CAFFE_UPSAMPLE_LAYER_HPP_

#include <utility>
#include <vector>

#include "caffe/layers/base_unpooling_layer.hpp"

namespace caffe {

/// Puts values back where a MAX pooling has found them.
///
/// Bottoms, top and gradient are those of BaseUnpoolingLayer. Top (N, C, H', W') with H'
/// = upsample_h, or scale H, less 1 with pad_out_h; W' likewise. Parameters:
/// upsample_param {upsample_h and upsample_w, or scale 2 or scale_h and scale_w,
/// pad_out_h false, pad_out_w false}.
/// Source: SegNet (Badrinarayanan et al., 2015). Differs from its layer: of two values of
/// one place only the one that stays has a gradient.
template <typename Dtype>
class UpsampleLayer : public BaseUnpoolingLayer<Dtype> {
 public:
  explicit UpsampleLayer(const LayerParameter& param)
      : BaseUnpoolingLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  inline const char* type() const override { return "Upsample"; }
  inline int ExactNumBottomBlobs() const override { return 2; }
  LayerTraits Traits() const override;

 protected:
  pair<int64_t, int64_t> TopSize(int height, int width) const override;

 private:
  int64_t top_h_ = 0, top_w_ = 0;  ///< 0 where the scales count
  int64_t scale_h_ = 0, scale_w_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_UPSAMPLE_LAYER_HPP_
