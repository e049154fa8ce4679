#ifndef CAFFE_CUDNN_BATCH_NORM_LAYER_HPP_
#define CAFFE_CUDNN_BATCH_NORM_LAYER_HPP_

#include <memory>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

template <typename Dtype>
class BatchNormChannels;

/// The batch normalisation of the SKNet and GENet releases: cuDNN's spatial mode with
/// scale and bias in one layer.
///
/// y = scale (x - mean) / sqrt(var + eps) + bias, per channel. In training mean and var
/// are the batch's (var biased), and
///   running = momentum running + (1 - momentum) batch
/// with the unbiased batch variance (n / (n - 1)). In TEST, or with `frozen`, the running
/// values are used. Works in place.
///
/// Bottom and top (N, C, ...). Blobs, each (1, C, 1, 1): scale, bias, running mean
/// (starts at 0), running variance (starts at 0, or 1 when frozen). The last two always
/// have lr_mult = decay_mult = 0; `frozen` forces that on all four.
/// Parameters: cudnn_batch_norm_param {frozen false, momentum 0.999, eps 1e-5 and never
/// below, scale_filler constant 1, bias_filler constant 0}; `batch_norm_param` is the
/// same thing in SKNet's files.
///
/// Gradients, with x^ the normalised input and n values per channel:
///   dbias = Σ dy, dscale = Σ dy x^,
///   dx = scale / std (dy - dbias / n - x^ dscale / n), or scale / std dy when the
/// running values were used.
/// In place x^ is computed from the top; a copy of the input is kept where that cannot be
/// done (a later layer in place, a scale near 0) and a Net's Backward will need it.
/// Source: Ioffe and Szegedy, ICML 2015; cuDNN's BatchNormalizationForwardTraining.
template <typename Dtype>
class CuDNNBatchNormLayer : public Layer<Dtype> {
 public:
  explicit CuDNNBatchNormLayer(const LayerParameter& param)
      : Layer<Dtype>(param), frozen_(false), momentum_(0), eps_(0), relu_(false) {}
  ~CuDNNBatchNormLayer() override;

  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;
  inline const char* type() const override { return "CuDNNBatchNorm"; }
  inline int ExactNumBottomBlobs() const override { return 1; }
  inline int ExactNumTopBlobs() const override { return 1; }
  LayerTraits Traits() const override;

  /// Takes over a plain ReLU in place behind it while training.
  /// Whether Forward, Backward and Recompute do the work of a ReLU behind, in place, in
  /// the same passes over memory. Not for a layer that works in place itself.
  void set_relu(bool value) { relu_ = value; }
  void Prepare(const LayerOptions& options) override { options_ = options; }
  void Recompute(const vector<Blob<Dtype>*>& bottom,
                 const vector<Blob<Dtype>*>& top) override;

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Recompute_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);

  bool use_running() const {
    return frozen_ || (this->phase_ == TEST && running_in_test_);
  }
  /// The running mean (0) or variance (1): blobs 2 and 3, unless a class that derives
  /// from this one has others.
  Blob<Dtype>* running(int i) const {
    return (statistics_[i] ? statistics_[i] : this->blobs_[2 + i]).get();
  }
  bool KeepsInput(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) const;

  bool frozen_, running_in_test_ = true;
  double momentum_, eps_;
  shared_ptr<Blob<Dtype>> statistics_[2];
  bool relu_;
  LayerOptions options_;
  /// What forward used per channel.
  shared_ptr<BatchNormChannels<Dtype>> channels_;
  /// The input of an in-place layer, kept only if it cannot be recovered from the top.
  Blob<Dtype> input_copy_;
  bool input_kept_ = false;

  /// Device-side state; defined where the device code is.
  struct GpuState;
  shared_ptr<GpuState> gpu_;
};

}  // namespace caffe

#endif  // CAFFE_CUDNN_BATCH_NORM_LAYER_HPP_
