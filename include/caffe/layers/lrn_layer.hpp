#ifndef CAFFE_LRN_LAYER_HPP_
#define CAFFE_LRN_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

struct LrnProblem;

/// Local response normalisation: y = x / s^beta over a window of local_size values.
///
/// ACROSS_CHANNELS: s = k + alpha / local_size Σ x² over neighbouring channels.
/// WITHIN_CHANNEL: s = 1 + alpha · (mean of x² over a local_size × local_size window,
/// zero-padded), the average taken as AVE pooling takes it.
/// Bottom and top (N, C, H, W). Gradient: dx = dy s^-beta - 2 alpha beta / n · x ·
/// Σ dy y / s over the windows that contain x.
/// Parameters: lrn_param {local_size 5 (odd), alpha 1, beta 0.75, k 1, norm_region}.
/// Source: Krizhevsky et al., NIPS 2012.
template <typename Dtype>
class LRNLayer : public Layer<Dtype> {
 public:
  explicit LRNLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;
  inline const char* type() const override { return "LRN"; }
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

  int size_;
  int pre_pad_;
  Dtype alpha_;
  Dtype beta_;
  Dtype k_;
  /// s of every element.
  Blob<Dtype> scale_;

 private:
  LrnProblem Problem(const Blob<Dtype>& bottom) const;
};

}  // namespace caffe

#endif  // CAFFE_LRN_LAYER_HPP_
