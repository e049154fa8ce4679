#ifndef CAFFE_INNER_PRODUCT_LAYER_HPP_
#define CAFFE_INNER_PRODUCT_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Y = X Wᵀ + b, a fully connected layer.
///
/// The axes before `axis` form the M rows of X, those from it on its K columns. Top
/// has the rows' shape with num_output (N) behind it. Blobs: weights (N, K), or (K, N)
/// with `transpose`, and with bias_term the bias (N).
/// Gradients: dW = dYᵀ X, db = Σ_m dY, dX = dY W. The matrix products choose their
/// engine in caffe_cpu_gemm.
/// Parameters: inner_product_param {num_output, bias_term true, weight_filler,
/// bias_filler, axis 1, transpose false}.
/// On a GPU, with precision BF16 or FP16, X, W and dY are rounded to that for the
/// products; Y, dX, dW and the bias are not.
template <typename Dtype>
class InnerProductLayer : public Layer<Dtype> {
 public:
  explicit InnerProductLayer(const LayerParameter& param) : Layer<Dtype>(param) {}
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;
  void Prepare(const LayerOptions& options) override { precision_ = options.precision; }
  inline const char* type() const override { return "InnerProduct"; }
  inline int ExactNumBottomBlobs() const override { return 1; }
  inline int ExactNumTopBlobs() const override { return 1; }
  LayerTraits Traits() const override;

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                   const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;

  int M_;
  int K_;
  int N_;
  bool bias_term_;
  bool transpose_;
  NetParameter::Precision precision_ = NetParameter::FLOAT32;
};

}  // namespace caffe

#endif  // CAFFE_INNER_PRODUCT_LAYER_HPP_
