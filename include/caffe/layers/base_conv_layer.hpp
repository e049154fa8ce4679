#ifndef CAFFE_BASE_CONVOLUTION_LAYER_HPP_
#define CAFFE_BASE_CONVOLUTION_LAYER_HPP_

#include <memory>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

struct ConvolutionProblem;
template <typename T>
class ConvolutionOp;
template <typename T>
class DeviceConvolution;
template <typename T>
class UnfoldedConvolution;

/// What Convolution and Deconvolution share: parameters, shapes, weights and bias.
///
/// Blobs: weights (num_output, C/group, kernel...) and, with bias_term, bias
/// (num_output). Any number of spatial axes; `axis` (default 1) is the channel axis
/// and all axes before it form the batch. Several bottoms and tops are computed one
/// by one with the same weights.
///
/// The protected members are those of Caffe, so that layers derived from this class
/// elsewhere (depthwise convolution) compile; the *_gemm and *_bias methods compute one
/// plain image, on the host or in device memory.
template <typename Dtype>
class BaseConvolutionLayer : public Layer<Dtype> {
 public:
  explicit BaseConvolutionLayer(const LayerParameter& param);
  ~BaseConvolutionLayer() override;
  void LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                  const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom,
               const vector<Blob<Dtype>*>& top) override;

  inline int MinBottomBlobs() const override { return 1; }
  inline int MinTopBlobs() const override { return 1; }
  inline bool EqualNumBottomTopBlobs() const override { return true; }

  void Prepare(const LayerOptions& options) override { precision_ = options.precision; }

  /// The engine and kernel in use, e.g. "onednn jit:avx512_core"; after a pass on a GPU
  /// that of the GPU.
  string engine_name() const;
  /// What is computed for the present shapes.
  const ConvolutionProblem& problem() const { return *problem_; }

 protected:
  void forward_cpu_gemm(const Dtype* input, const Dtype* weights, Dtype* output,
                        bool skip_im2col = false);
  void forward_cpu_bias(Dtype* output, const Dtype* bias);
  void backward_cpu_gemm(const Dtype* input, const Dtype* weights, Dtype* output);
  void weight_cpu_gemm(const Dtype* input, const Dtype* output, Dtype* weights);
  void backward_cpu_bias(Dtype* bias, const Dtype* input);
  void forward_gpu_gemm(const Dtype* input, const Dtype* weights, Dtype* output,
                        bool skip_im2col = false);
  void forward_gpu_bias(Dtype* output, const Dtype* bias);
  void backward_gpu_gemm(const Dtype* input, const Dtype* weights, Dtype* output);
  void weight_gpu_gemm(const Dtype* input, const Dtype* output, Dtype* weights);
  void backward_gpu_bias(Dtype* bias, const Dtype* input);

  /// Shape along spatial axis i (counted from 0) of the input of this layer.
  inline int input_shape(int i) { return (*bottom_shape_)[channel_axis_ + i]; }
  /// True when the layer is the transpose of a convolution.
  virtual bool reverse_dimensions() = 0;
  /// Fills output_shape_ from input_shape() and the window.
  virtual void compute_output_shape() = 0;

  ConvolutionOp<Dtype>& op();
  DeviceConvolution<Dtype>& device_op();

  Blob<int> kernel_shape_;
  Blob<int> stride_;
  Blob<int> pad_;
  Blob<int> dilation_;
  Blob<int> conv_input_shape_;
  vector<int> col_buffer_shape_;
  vector<int> output_shape_;
  const vector<int>* bottom_shape_;
  int num_spatial_axes_;
  int bottom_dim_;
  int top_dim_;
  int channel_axis_;
  int num_;
  int channels_;
  int group_;
  int out_spatial_dim_;
  int weight_offset_;
  int num_output_;
  bool bias_term_;
  bool is_1x1_;
  bool force_nd_im2col_;

 private:
  void ReadWindow(const vector<Blob<Dtype>*>& bottom);
  void SetUpWeights();
  UnfoldedConvolution<Dtype>& unfolded();
  UnfoldedConvolution<Dtype>& device_unfolded();

  NetParameter::Precision precision_ = NetParameter::FLOAT32;
  std::unique_ptr<ConvolutionProblem> problem_;
  std::unique_ptr<ConvolutionOp<Dtype>> op_;
  std::unique_ptr<DeviceConvolution<Dtype>> device_op_;
  std::unique_ptr<UnfoldedConvolution<Dtype>> unfolded_, device_unfolded_;
};

}  // namespace caffe

#endif  // CAFFE_BASE_CONVOLUTION_LAYER_HPP_
