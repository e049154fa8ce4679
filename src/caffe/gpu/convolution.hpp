#ifndef CAFFE_GPU_CONVOLUTION_HPP_
#define CAFFE_GPU_CONVOLUTION_HPP_

#include <cstdint>
#include <memory>
#include <string>

#include "caffe/gpu/tensor.hpp"
#include "caffe/ops/convolution.hpp"

namespace caffe {

/// What ConvolutionOp is on the host, in device memory. Inputs may be in any format;
/// results are in the layout of src (diff_dst) where the engine has a kernel for it, else
/// plain.
///
/// With precision BF16 or FP16 data, weights and their gradients are rounded to that and
/// have their channels last, as the results do, where cuDNN has a kernel for it; what is
/// added to diff_weights was rounded, too. Sums are float32. Bias and diff_weights keep
/// their own type.
///
/// Two switches are read from the environment when one is made:
/// CAFFE_CUDNN_WORKSPACE_MB (1024) bounds the memory that an algorithm may work in, and
/// with CAFFE_DETERMINISTIC=1 equal inputs give equal bits in every run.
template <typename T>
class DeviceConvolution {
 public:
  virtual ~DeviceConvolution() = default;
  /// `addend`, of dst's shape, is there exactly if the problem says so.
  virtual void Forward(DeviceTensor<T> src, DeviceTensor<T> weights, const T* bias,
                       DeviceTensor<T> dst, const Blob<T>* addend) = 0;
  void Forward(DeviceTensor<T> src, DeviceTensor<T> weights, const T* bias,
               DeviceTensor<T> dst) {
    Forward(src, weights, bias, dst, nullptr);
  }
  /// Overwrites diff_src.
  virtual void BackwardData(DeviceTensor<T> diff_dst, DeviceTensor<T> weights,
                            DeviceTensor<T> diff_src) = 0;
  /// Adds to diff_weights, which is plain.
  virtual void BackwardWeights(DeviceTensor<T> src, DeviceTensor<T> diff_dst,
                               T* diff_weights) = 0;
  /// The engine and, for each pass that has run, its algorithm.
  virtual std::string name() const = 0;
};

/// The first engine of the list in convolution/engines.hpp that takes the problem.
template <typename T>
std::unique_ptr<DeviceConvolution<T>> MakeDeviceConvolution(
    const ConvolutionProblem& problem);

/// dst[:, k] += bias[k]
template <typename T>
void DeviceConvolutionAddBias(DeviceTensor<T> dst, int channel_axis, const T* bias);

/// diff_bias[k] += sum of diff_dst over the other axes.
template <typename T>
void DeviceConvolutionBackwardBias(DeviceTensor<T> diff_dst, int channel_axis,
                                   T* diff_bias);

/// How often this process has asked cuDNN for algorithms: once for each pass, layout,
/// problem, device and setting of the switches.
std::int64_t ConvolutionSearchCount();

}  // namespace caffe

#endif  // CAFFE_GPU_CONVOLUTION_HPP_
