#ifndef CAFFE_INFOGAIN_LOSS_LAYER_HPP_
#define CAFFE_INFOGAIN_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// loss = -sum over positions of sum_k H[label, k] log(softmax(x)[k]), divided by a
/// normalizer: SoftmaxWithLoss with a price H for every pair of classes. With H the unit
/// matrix both are the same.
///
/// bottom[0]: scores, the K classes on infogain_loss_param.axis (default 1).
/// bottom[1]: one label per sample and position, whole numbers from 0 to K - 1;
/// loss_param.ignore_label takes positions out. A label outside the classes is an error
/// that names the sample.
/// bottom[2], optional: H, K x K; without it, it is read from infogain_loss_param.source,
/// a BlobProto file.
/// loss_param.normalization: VALID (default) divides by the positions that count, FULL by
/// all positions, BATCH_SIZE by the samples, NONE by 1. The old `normalize` is an error,
/// as in Caffe.
/// top[1], optional: the softmax.
/// dx = (softmax(x) sum_k H[label, k] - H[label, :]) * loss_weight / normalizer; labels
/// and H have no gradient. Probabilities below kLOG_THRESHOLD count as that in the loss,
/// as in Caffe.
template <typename Dtype>
class InfogainLossLayer : public LossLayer<Dtype> {
 public:
  explicit InfogainLossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "InfogainLoss"; }
  virtual inline int ExactNumBottomBlobs() const { return -1; }
  virtual inline int MinBottomBlobs() const { return 2; }
  virtual inline int MaxBottomBlobs() const { return 3; }
  virtual inline int ExactNumTopBlobs() const { return -1; }
  virtual inline int MinTopBlobs() const { return 1; }
  virtual inline int MaxTopBlobs() const { return 2; }
  virtual inline bool AllowForceBackward(const int bottom_index) const {
    return bottom_index == 0;
  }

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

  /// What the summed loss is divided by.
  virtual Dtype get_normalizer(LossParameter_NormalizationMode normalization_mode,
                               int valid_count);
  /// Fills sum_rows_H_.
  virtual void sum_rows_of_H(const Blob<Dtype>* H);
  const Blob<Dtype>& matrix(const vector<Blob<Dtype>*>& bottom) const {
    return bottom.size() < 3 ? infogain_ : *bottom[2];
  }

  shared_ptr<Layer<Dtype>> softmax_layer_;
  Blob<Dtype> prob_;  ///< softmax of bottom[0]
  vector<Blob<Dtype>*> softmax_bottom_vec_;
  vector<Blob<Dtype>*> softmax_top_vec_;
  Blob<Dtype> infogain_;  ///< H of the file
  Blob<Dtype> sum_rows_H_;
  bool has_ignore_label_;
  int ignore_label_;
  LossParameter_NormalizationMode normalization_;
  int infogain_axis_;
  int outer_num_;
  int inner_num_;
  int num_labels_;
  Blob<int> labels_;  ///< class of every position, -1 where ignored
  int valid_count_;   ///< positions that are not ignored
};

}  // namespace caffe

#endif  // CAFFE_INFOGAIN_LOSS_LAYER_HPP_
