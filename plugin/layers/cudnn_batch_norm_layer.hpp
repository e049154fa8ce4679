#ifndef CAFFE_CUDNN_BATCH_NORM_LAYER_HPP_
#define CAFFE_CUDNN_BATCH_NORM_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/ops/batch_norm_arithmetic.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// The batch normalisation of the SKNet and GENet releases.
///
/// y = scale (x - mean) / sqrt(var + eps) + bias, per channel. In training mean and var
/// are the batch's (var biased), and running = momentum running + (1 - momentum) batch
/// with the unbiased variance. In TEST, or with `frozen`, the running values are used.
///
/// Bottom and top (N, C, ...). Blobs, each (1, C, 1, 1): scale, bias, running mean
/// (starts at 0), running variance (starts at 0, or 1 when frozen). The last two are not
/// learned, and with `frozen` none is. Parameters: cudnn_batch_norm_param or
/// batch_norm_param, whichever this Caffe has; eps is never below 1e-5.
///
/// In place it keeps a copy of its input, which the gradient of the scale needs, unless
/// the scale is not learned (frozen, or lr_mult 0) and the running values are used.
template <typename Dtype>
class CuDNNBatchNormLayer : public Layer<Dtype> {
 public:
  explicit CuDNNBatchNormLayer(const LayerParameter& param)
      : Layer<Dtype>(param), frozen_(false), momentum_(0), eps_(0), input_kept_(false) {}
  virtual void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                          const vector<Blob<Dtype>*>& top);
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom,
                       const vector<Blob<Dtype>*>& top);

  virtual inline const char* type() const { return "CuDNNBatchNorm"; }
  virtual inline int ExactNumBottomBlobs() const { return 1; }
  virtual inline int ExactNumTopBlobs() const { return 1; }

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                           const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top,
                            const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

  bool use_running() const { return frozen_ || this->phase_ == TEST; }
  bool KeepsInput(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) const;

  bool frozen_;
  double momentum_, eps_;
  /// What forward on the CPU used.
  BatchNormChannels<Dtype> channels_;
  Blob<Dtype> input_copy_;
  bool input_kept_;

  /// Device-side state; defined where the device code is.
  struct GpuState;
  shared_ptr<GpuState> gpu_;
};

}  // namespace caffe

#endif  // CAFFE_CUDNN_BATCH_NORM_LAYER_HPP_
