#ifndef CUDA_EMULATION_CUDNN_ALGORITHMS_H_
#define CUDA_EMULATION_CUDNN_ALGORITHMS_H_

#include <cudnn.h>

#include <cstddef>
#include <vector>

#include "convolution.h"
#include "tensor_view.h"

namespace cuda_emulation {

/// What three descriptors of tensors and filters and one of a convolution ask for.
struct ConvolutionProblem {
  Convolution shape;
  TensorView x, w, y;
  cudnnMathType_t math;
  int spatial_axes;
  /// x, w and y are NHWC; else all are NCHW, x and y with any strides.
  bool is_channels_last;
  /// The filter is turned round (CUDNN_CONVOLUTION).
  bool is_mirrored;
};

/// BAD_PARAM if the descriptors contradict each other, NOT_SUPPORTED for types and
/// layouts that no algorithm takes.
cudnnStatus_t Describe(const cudnnTensorStruct* x, const cudnnFilterStruct* w,
                       const cudnnConvolutionStruct* convolution,
                       const cudnnTensorStruct* y, ConvolutionProblem* problem);

/// Each computes the same here, but takes the problems, and asks for about the
/// workspace, that cuDNN's reference says of it.
struct Algorithm {
  int id;
  bool (*takes)(const ConvolutionProblem&);
  /// In bytes.
  std::size_t (*workspace)(const ConvolutionProblem&);
  bool is_deterministic;
  bool uses_tensor_cores;
  /// Picoseconds for a multiplication and addition: what orders them.
  float cost;

  FactorPrecision Precision(const ConvolutionProblem& problem) const;
  cudnnMathType_t Math(const ConvolutionProblem& problem) const;
  float Milliseconds(const ConvolutionProblem& problem) const;
};

struct Workspace {
  void* data;
  std::size_t bytes;
};

enum class ConvolutionPass { kForward, kBackwardData, kBackwardFilter };

const std::vector<Algorithm>& AlgorithmsOf(ConvolutionPass pass);

/// Null if there is none of this number.
const Algorithm* FindAlgorithm(ConvolutionPass pass, int id);

/// All of them: the fastest first, and those that refuse the problem last.
std::vector<const Algorithm*> Ranked(ConvolutionPass pass,
                                     const ConvolutionProblem& problem);

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_CUDNN_ALGORITHMS_H_
