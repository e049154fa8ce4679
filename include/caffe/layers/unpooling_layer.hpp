#ifndef CAFFE_UNPOOLING_LAYER_HPP_
#define CAFFE_UNPOOLING_LAYER_HPP_

#include <utility>
#include <vector>

#include "caffe/layers/base_unpooling_layer.hpp"

namespace caffe {

/// Puts values back where a MAX pooling has found them, or where its windows begin.
///
/// Bottoms, top and gradient are those of BaseUnpoolingLayer; without the second bottom
/// value (i, j) goes to (i stride_h - pad_h, j stride_w - pad_w), moved into the image.
/// Top (N, C, H', W') with H' = unpool_h, or max((H - 1) stride_h + kernel_h - 2 pad_h,
/// H stride_h - pad_h + 1); W' likewise.
/// Parameters: unpooling_param {kernel_size or kernel_h and kernel_w, stride 1 or by
/// axis, pad 0 or by axis, unpool_size or unpool_h and unpool_w}. Source: DeconvNet (Noh
/// et al., ICCV 2015). Differs from its layer: of two values of one place only the one
/// that stays has a gradient.
template <typename Dtype>
class UnpoolingLayer : public BaseUnpoolingLayer<Dtype> {
 public:
  explicit UnpoolingLayer(const LayerParameter& param)
      : BaseUnpoolingLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  inline const char* type() const override { return "Unpooling"; }
  inline int MinBottomBlobs() const override { return 1; }
  inline int MaxBottomBlobs() const override { return 2; }
  LayerTraits Traits() const override;

 protected:
  pair<int64_t, int64_t> TopSize(int height, int width) const override;
  pair<int, int> Steps() const override { return {stride_h_, stride_w_}; }
  pair<int, int> Pads() const override { return {pad_h_, pad_w_}; }

 private:
  int kernel_h_ = 0, kernel_w_ = 0, stride_h_ = 1, stride_w_ = 1, pad_h_ = 0, pad_w_ = 0;
  int64_t top_h_ = 0, top_w_ = 0;  ///< 0 if not given
};

}  // namespace caffe

#endif  // CAFFE_UNPOOLING_LAYER_HPP_
