#ifndef CAFFE_HINGE_LOSS_LAYER_HPP_
#define CAFFE_HINGE_LOSS_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layers/loss_layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// One against all: loss = 1 / N sum over samples n and classes c of max(0, m_nc), or of
/// its square with hinge_loss_param.norm: L2 (L1 is the default), where
/// m_nc = 1 - x_nc for the class of the sample and 1 + x_nc for the others.
///
/// bottom[0]: scores, N x C; axes behind the first are one row. bottom[1]: N labels,
/// whole numbers from 0 to C - 1; another one is an error that names the sample.
/// dx = s / N loss_weight where m > 0, times 2 m with L2, with s = -1 for the class of
/// the sample and 1 for the others; 0 elsewhere. Labels have no gradient.
template <typename Dtype>
class HingeLossLayer : public LossLayer<Dtype> {
 public:
  explicit HingeLossLayer(const LayerParameter& param) : LossLayer<Dtype>(param) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "HingeLoss"; }

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

  bool squared_;      ///< norm: L2
  Blob<int> labels_;  ///< class of every sample
};

}  // namespace caffe

#endif  // CAFFE_HINGE_LOSS_LAYER_HPP_
