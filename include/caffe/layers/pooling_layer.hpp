#ifndef CAFFE_POOLING_LAYER_HPP_
#define CAFFE_POOLING_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

struct PoolingProblem;

/// Largest value or mean of windows that slide over an image.
///
/// Bottom (N, C, H, W), top (N, C, H', W') with H' = ceil((H + 2 pad - kernel) / stride)
/// + 1 (floor with round_mode FLOOR), less a last window that would start at or beyond
/// H + pad. MAX ignores padding; AVE counts it as zeros, but divides by the window
/// clipped to H + pad. A second top of a MAX layer receives the index h·W + w of each
/// largest value.
/// Parameters: pooling_param {pool MAX, kernel_size or kernel_h/kernel_w, stride 1, pad
/// 0, global_pooling, round_mode CEIL}. STOCHASTIC has no CPU form, as in Caffe.
///
/// Differs from BVLC: without padding a stride larger than the kernel could make a last
/// window that lies outside the image, whose mean was 0/0 and whose gradient was written
/// outside the blob; that window is dropped as with padding.
template <typename Dtype>
class PoolingLayer : public Layer<Dtype> {
 public:
  explicit PoolingLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;
  inline const char* type() const override { return "Pooling"; }
  inline int ExactNumBottomBlobs() const override { return 1; }
  inline int MinTopBlobs() const override { return 1; }
  inline int MaxTopBlobs() const override {
    return this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX
               ? 2
               : 1;
  }
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

  int kernel_h_, kernel_w_;
  int stride_h_, stride_w_;
  int pad_h_, pad_w_;
  int channels_, height_, width_;
  int pooled_height_, pooled_width_;
  bool global_pooling_;
  PoolingParameter_RoundMode round_mode_;
  /// Where each window's largest value was, in the layout it was computed in: on the
  /// host in blocks of max_idx_block_ channels, on a GPU as the blob's memory tells.
  Blob<int> max_idx_;
  int max_idx_block_ = 1;
  vector<int> max_idx_shape_;

 private:
  PoolingProblem Problem() const;
  /// Makes max_idx_ plain, for a Backward on a GPU behind a Forward on the host.
  void UnpackMask();
};

}  // namespace caffe

#endif  // CAFFE_POOLING_LAYER_HPP_
