#ifndef CAFFE_OPS_CONVOLUTION_HPP_
#define CAFFE_OPS_CONVOLUTION_HPP_

#include <memory>
#include <string>
#include <vector>

#include "caffe/ops/tensor.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// A convolution of any number of spatial axes, as the layer has worked it out.
/// src is (N, C, spatial...), dst (N, K, spatial...), weights (K, C/group, kernel...).
struct ConvolutionProblem {
  std::vector<int> src, dst;
  std::vector<int> kernel, stride, pad, dilation;
  int group = 1;
  bool bias = false;
  bool training = false;
  /// False when several leading axes of the blob make up N; such blobs are plain.
  bool batch_is_axis0 = true;
  /// What inference does in the same pass: dst = relu(src * weights + bias + addend).
  bool addend = false;
  /// Run it under ZeroDenormals: otherwise values below 0 give not 0, but nearly so.
  bool relu = false;
  /// For inference in BF16: dst may be left in bfloat16 (channels_last.hpp).
  bool leaves_bfloat16 = false;
  /// Of the operands of products; sums are float32 in any case, and on the host results
  /// and the gradient of the weights as well.
  NetParameter::Precision precision = NetParameter::FLOAT32;
  /// `engine: CAFFE` in a prototxt: no engine but the reference may be used.
  bool reference_only = false;

  bool operator==(const ConvolutionProblem&) const = default;
  int spatial_axes() const { return static_cast<int>(kernel.size()); }
  int src_channels() const { return src[1]; }
  int dst_channels() const { return dst[1]; }
  std::vector<int> WeightsShape() const;
  /// "src (1, 3, 224, 224) dst (…) kernel (7, 7) …", for messages and tests.
  std::string Text() const;
};

/// dst = src * weights + bias and its derivatives.
template <typename T>
class ConvolutionOp {
 public:
  virtual ~ConvolutionOp() = default;
  /// `addend`, of dst's shape, is there exactly if the problem says so.
  virtual void Forward(Tensor<T> src, Tensor<T> weights, const T* bias, Tensor<T> dst,
                       const Blob<T>* addend) = 0;
  void Forward(Tensor<T> src, Tensor<T> weights, const T* bias, Tensor<T> dst) {
    Forward(src, weights, bias, dst, nullptr);
  }
  /// Overwrites diff_src.
  virtual void BackwardData(Tensor<T> diff_dst, Tensor<T> weights,
                            Tensor<T> diff_src) = 0;
  /// Adds to diff_weights, which is plain.
  virtual void BackwardWeights(Tensor<T> src, Tensor<T> diff_dst, T* diff_weights) = 0;
  /// The engine and, where it has several, the kernel in use.
  virtual std::string name() const = 0;
};

/// The first engine of the list in convolution/engines.hpp that takes the problem.
template <typename T>
std::unique_ptr<ConvolutionOp<T>> MakeConvolution(const ConvolutionProblem& problem);

/// diff_bias[k] += sum of diff_dst over N and the spatial axes.
template <typename T>
void ConvolutionBackwardBias(const ConvolutionProblem& problem, Tensor<T> diff_dst,
                             T* diff_bias);

}  // namespace caffe

#endif  // CAFFE_OPS_CONVOLUTION_HPP_
