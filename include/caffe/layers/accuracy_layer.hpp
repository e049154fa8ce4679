#ifndef CAFFE_ACCURACY_LAYER_HPP_
#define CAFFE_ACCURACY_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Share of the samples whose label is among the top_k (default 1) largest scores.
///
/// Bottoms: scores, with the classes on `axis` (default 1), and labels, one per sample
/// and position: for (N, C, H, W) there are N H W of them, whole numbers from 0 to
/// C - 1. Positions labelled ignore_label do not count. A score equal to the label's,
/// or NaN, counts as larger. A label outside the classes is an error.
/// Tops: the share (a scalar), 0 if there is nothing to count; optionally the share
/// of each class by itself (C), 0 for a class without samples.
/// There is no gradient.
template <typename Dtype>
class AccuracyLayer : public Layer<Dtype> {
 public:
  explicit AccuracyLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "Accuracy"; }
  virtual inline int ExactNumBottomBlobs() const { return 2; }
  virtual inline int MinTopBlobs() const { return 1; }
  virtual inline int MaxTopBlobs() const { return 2; }
  virtual inline bool AllowForceBackward(const int /*bottom_index*/) const {
    return false;
  }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  int top_k_;
  bool has_ignore_label_;
  int ignore_label_;
  int label_axis_;
  int outer_num_;
  int inner_num_;
};

}  // namespace caffe

#endif  // CAFFE_ACCURACY_LAYER_HPP_
