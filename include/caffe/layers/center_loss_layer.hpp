#ifndef CAFFE_CENTER_LOSS_LAYER_HPP_
#define CAFFE_CENTER_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// loss = 1 / (2 N) * sum over samples of |x - c(label)|^2, with N the extent of axis 0.
///
/// Bottoms: features, of which the axes from `axis` on are the vector x, and as many
/// labels as there are samples, N. Blob: the centres c, (num_output, length of x). dx =
/// (x - c) / N * loss_weight. The centres follow their samples by a rule of their own,
/// whatever the loss weight: dc = the sum over the samples of the class of (c - x) /
/// (1 + their number). Labels have no gradient.
/// Parameters: center_loss_param {num_output, axis 1, center_filler constant 0}.
/// Source: Wen et al., "A discriminative feature learning approach for deep face
/// recognition", ECCV 2016, equations 2 to 4; the layer of its Caffe.
template <typename Dtype>
class CenterLossLayer : public LossLayer<Dtype> {
 public:
  explicit CenterLossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline const char* type() const override { return "CenterLoss"; }
  vector<string> BottomNames() const override { return {"features", "labels"}; }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

 private:
  /// The classes of the samples, checked; on the host.
  void ReadClasses(const Blob<Dtype>& labels);

  int classes_ = 0, samples_ = 0, length_ = 0;
  Blob<int> class_of_;  ///< each sample
};

}  // namespace caffe

#endif  // CAFFE_CENTER_LOSS_LAYER_HPP_
