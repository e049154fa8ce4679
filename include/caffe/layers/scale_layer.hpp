#ifndef CAFFE_SCALE_LAYER_HPP_
#define CAFFE_SCALE_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// top = a * x (+ b), with a repeated along the axes of x that it does not have.
///
/// One bottom: a is learned and covers num_axes (default 1) axes of x from `axis`
/// (default 1) on; -1 covers all the rest, 0 is a scalar. Filled with 1 by default.
/// Two bottoms: a is bottom[1], whose shape equals the axes of x from `axis` on; with
/// axis 0 and a of shape N x C this is the attention step of SE and SK networks.
/// bias_term adds a learned b of the shape of a, the last parameter blob, filled
/// with 0 by default.
/// dx = a * dtop;  da, db = x * dtop, dtop summed over the axes a does not have.
/// In place works: the input is kept if the gradient of a may be asked for.
template <typename Dtype>
class ScaleLayer : public Layer<Dtype> {
 public:
  explicit ScaleLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Scale"; }
  virtual inline int MinBottomBlobs() const { return 1; }
  virtual inline int MaxBottomBlobs() const { return 2; }
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

  int axis_;           ///< first axis of x that a covers
  int axes_;           ///< how many
  int bias_param_id_;  ///< index of b among the blobs, -1 without a bias
  /// The input of an in-place Forward.
  Blob<Dtype> temp_;

 private:
  void AddParameter(const vector<int>& shape, const FillerParameter& filler);
};

}  // namespace caffe

#endif  // CAFFE_SCALE_LAYER_HPP_
