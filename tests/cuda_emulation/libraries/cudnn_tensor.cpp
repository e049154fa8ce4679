// cuDNN's element-wise functions of tensors.

#include <cudnn.h>

#include <cstddef>
#include <vector>

#include "cudnn_context.h"

using namespace cuda_emulation;  // NOLINT(build/namespaces)

cudnnStatus_t cudnnTransformTensor(cudnnHandle_t handle, const void* alpha,
                                   const cudnnTensorDescriptor_t x_desc, const void* x,
                                   const void* beta, const cudnnTensorDescriptor_t y_desc,
                                   void* y) {
  if (!x_desc || !y_desc || !alpha || !beta) return CUDNN_STATUS_BAD_PARAM;
  TensorView from, to;
  if (!ViewOf(*x_desc, &from) || !ViewOf(*y_desc, &to)) return CUDNN_STATUS_NOT_SUPPORTED;
  if (from.sizes != to.sizes) return CUDNN_STATUS_BAD_PARAM;
  const double scale = ScaleOf(to.format, alpha);
  const double scale_there = ScaleOf(to.format, beta);
  return Run("cudnnTransformTensor", handle,
             {{"x", x, from.bytes()}, {"y", y, to.bytes()}},
             [=] { BlendInto(to, y, scale, Load(from, x), scale_there); });
}

cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void* alpha,
                             const cudnnTensorDescriptor_t a_desc, const void* A,
                             const void* beta, const cudnnTensorDescriptor_t c_desc,
                             void* C) {
  if (!a_desc || !c_desc || !alpha || !beta) return CUDNN_STATUS_BAD_PARAM;
  TensorView from, to;
  if (!ViewOf(*a_desc, &from) || !ViewOf(*c_desc, &to)) return CUDNN_STATUS_NOT_SUPPORTED;
  const TensorView repeated = from.BroadcastTo(to);
  if (repeated.sizes != to.sizes || a_desc->type != c_desc->type) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  const double scale = ScaleOf(to.format, alpha);
  const double scale_there = ScaleOf(to.format, beta);
  return Run("cudnnAddTensor", handle, {{"A", A, from.bytes()}, {"C", C, to.bytes()}},
             [=] { BlendInto(to, C, scale, Load(repeated, A), scale_there); });
}

cudnnStatus_t cudnnSetTensor(cudnnHandle_t handle, const cudnnTensorDescriptor_t y_desc,
                             void* y, const void* value) {
  if (!y_desc || !value) return CUDNN_STATUS_BAD_PARAM;
  TensorView view;
  if (!ViewOf(*y_desc, &view)) return CUDNN_STATUS_NOT_SUPPORTED;
  const double number = LoadOne(view.format, value);
  return Run("cudnnSetTensor", handle, {{"y", y, view.bytes()}},
             [=] { Store(std::vector<double>(view.count(), number), view, y); });
}

cudnnStatus_t cudnnScaleTensor(cudnnHandle_t handle, const cudnnTensorDescriptor_t y_desc,
                               void* y, const void* alpha) {
  if (!y_desc || !alpha) return CUDNN_STATUS_BAD_PARAM;
  TensorView view;
  if (!ViewOf(*y_desc, &view)) return CUDNN_STATUS_NOT_SUPPORTED;
  const double scale = ScaleOf(view.format, alpha);
  return Run("cudnnScaleTensor", handle, {{"y", y, view.bytes()}},
             [=] { BlendInto(view, y, scale, Load(view, y), 0); });
}
