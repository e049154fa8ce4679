#ifndef CUDA_EMULATION_CUDNN_CONTEXT_H_
#define CUDA_EMULATION_CUDNN_CONTEXT_H_

#include <cudnn.h>

#include <array>
#include <cstddef>
#include <functional>
#include <initializer_list>

#include "tensor_view.h"

struct cudnnContext {
  int device;
  cudaStream_t stream;
};

struct cudnnTensorStruct {
  cudnnDataType_t type;
  int axes;
  std::array<int, CUDNN_DIM_MAX> sizes, strides;
};

struct cudnnFilterStruct {
  cudnnDataType_t type;
  cudnnTensorFormat_t format;
  int axes;
  std::array<int, CUDNN_DIM_MAX> sizes;
};

struct cudnnConvolutionStruct {
  int axes;
  std::array<int, CUDNN_DIM_MAX> pads, strides, dilations;
  cudnnConvolutionMode_t mode;
  cudnnDataType_t compute_type;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  int groups = 1;
};

struct cudnnActivationStruct {
  cudnnActivationMode_t mode;
  cudnnNanPropagation_t nan;
  double coef;
};

struct cudnnPoolingStruct {
  cudnnPoolingMode_t mode;
  cudnnNanPropagation_t nan;
  std::array<int, 2> window, pads, strides;
};

namespace cuda_emulation {

/// The format that cuDNN calls `type`; false for one that it has and we have not.
bool FormatOf(cudnnDataType_t type, NumberFormat* format);

/// The tensor with its axes named; false if it has another type, or other axes, than
/// the functions here compute with.
bool ViewOf(const cudnnTensorStruct& tensor, TensorView* view);
/// The same of a filter, whose axes are (outputs, inputs, d, h, w).
bool ViewOf(const cudnnFilterStruct& filter, TensorView* view);

/// alpha or beta, which are of double for tensors of double, and of float for others.
double ScaleOf(NumberFormat format, const void* pointer);

struct Operand {
  const char* name;
  const void* data;
  std::size_t bytes;
};

/// Has `work` done on the handle's stream if `operands` are what a GPU could use:
/// BAD_PARAM for a null pointer; EXECUTION_FAILED, and a message on stderr, for what is
/// not device memory, or for a handle of another device.
cudnnStatus_t Run(const char* function, cudnnHandle_t handle,
                  std::initializer_list<Operand> operands, std::function<void()> work);

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_CUDNN_CONTEXT_H_
