#ifndef CAFFE_SOFTMAX_WITH_LOSS_LAYER_HPP_
#define CAFFE_SOFTMAX_WITH_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Cross entropy of the softmax of bottom[0] with the labels in bottom[1]:
/// loss = -sum over positions of log softmax(x)[label], divided by a normalizer.
///
/// bottom[0]: scores, classes on softmax_param.axis (default 1). bottom[1]: one label
/// per sample and position, whole numbers from 0 to C - 1; loss_param.ignore_label
/// takes positions out. A label outside the classes is an error that names the sample.
/// loss_param.normalization: VALID (default) divides by the positions that count, FULL
/// by all positions, BATCH_SIZE by the samples, NONE by 1; the old `normalize: false`
/// is BATCH_SIZE.
/// loss_param.label_smoothing e makes the target (1 - e) onehot + e / C (Szegedy et
/// al., CVPR 2016).
/// top[1], optional: the softmax.
/// dx = (softmax(x) - target) * loss_weight / normalizer; labels have no gradient.
/// Differs from BVLC: log softmax is computed as such and has no floor, so a label
/// that is out of reach costs its true amount, not 87.3365.
template <typename Dtype>
class SoftmaxWithLossLayer : public LossLayer<Dtype> {
 public:
  explicit SoftmaxWithLossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "SoftmaxWithLoss"; }
  virtual inline int ExactNumTopBlobs() const { return -1; }
  virtual inline int MinTopBlobs() const { return 1; }
  virtual inline int MaxTopBlobs() const { return 2; }

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

  Blob<Dtype> prob_;  ///< softmax of bottom[0]
  bool has_ignore_label_;
  int ignore_label_;
  LossParameter_NormalizationMode normalization_;
  double label_smoothing_;
  int softmax_axis_;
  int outer_num_;
  int inner_num_;
  Blob<int> labels_;  ///< class of every position, -1 where ignored
  int valid_count_;   ///< positions that are not ignored
};

}  // namespace caffe

#endif  // CAFFE_SOFTMAX_WITH_LOSS_LAYER_HPP_
