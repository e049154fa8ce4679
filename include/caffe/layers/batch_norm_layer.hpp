#ifndef CAFFE_BATCH_NORM_LAYER_HPP_
#define CAFFE_BATCH_NORM_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Caffe's own batch normalisation, without scale and bias (a Scale layer follows).
///
/// y = (x - mean) / sqrt(var + eps) per channel. In training mean and var are the
/// batch's (var biased), and blobs 0 and 1 accumulate
///   sum = moving_average_fraction · sum + batch mean (batch var · n / (n - 1)),
/// blob 2 the factor they are divided by: factor = fraction · factor + 1. With
/// use_global_stats (default in TEST) the divided sums are used. Works in place.
///
/// Bottom (N, C, ...) or (N). Blobs: mean (C), variance (C), factor (1); none of them
/// learns.
/// Parameters: batch_norm_param {use_global_stats, moving_average_fraction 0.999,
/// eps 1e-5}.
template <typename Dtype>
class BatchNormLayer : public Layer<Dtype> {
 public:
  explicit BatchNormLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;
  inline const char* type() const override { return "BatchNorm"; }
  inline int ExactNumBottomBlobs() const override { return 1; }
  inline int ExactNumTopBlobs() const override { return 1; }
  LayerTraits Traits() const override;
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

  bool use_global_stats_;
  Dtype moving_average_fraction_;
  int channels_;
  double eps_;
  LayerOptions options_;
  /// What forward used per channel.
  Blob<double> used_mean_, inverse_std_;
  /// The normalised values, kept when another layer writes over the top.
  Blob<Dtype> x_norm_;
  bool x_norm_kept_ = false;
};

}  // namespace caffe

#endif  // CAFFE_BATCH_NORM_LAYER_HPP_
