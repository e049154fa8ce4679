#ifndef CAFFE_MVN_LAYER_HPP_
#define CAFFE_MVN_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Mean-variance normalisation: y = (x - mean) / (deviation + eps), over the pixels of
/// every channel of every image; with across_channels over all of an image. deviation is
/// the root of the biased variance; without normalize_variance (default true)
/// y = x - mean.
///
/// bottom and top: N x C x .... mvn_param.eps is 1e-9 by default. In place works.
/// dx = (dy - mean(dy) - y mean(dy y) (deviation + eps) / deviation) / (deviation + eps),
/// or dy - mean(dy). Where all values are equal, y is 0, and the term with y, too.
/// Differs from BVLC, which leaves out the factor (deviation + eps) / deviation.
template <typename Dtype>
class MVNLayer : public Layer<Dtype> {
 public:
  explicit MVNLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "MVN"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }
  LayerTraits Traits() const override;

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

  Blob<Dtype> mean_, variance_;  ///< of every group of pixels
};

}  // namespace caffe

#endif  // CAFFE_MVN_LAYER_HPP_
