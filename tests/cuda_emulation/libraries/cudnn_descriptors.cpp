// cuDNN's descriptors: what they take, and what they say again.

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>

#include "cudnn_context.h"

namespace cuda_emulation {
namespace {

constexpr int kSmallestAxes = 4;

template <typename Descriptor>
cudnnStatus_t Create(Descriptor** descriptor) {
  if (!descriptor) return CUDNN_STATUS_BAD_PARAM;
  *descriptor = new Descriptor();
  return CUDNN_STATUS_SUCCESS;
}

bool AreAtLeast(int least, const int* values, int count) {
  return std::all_of(values, values + count,
                     [least](int value) { return value >= least; });
}

bool IsKnown(cudnnDataType_t type) {
  NumberFormat format;
  return FormatOf(type, &format) || type == CUDNN_DATA_INT8 || type == CUDNN_DATA_INT32;
}

bool IsKnown(cudnnTensorFormat_t format) {
  return format == CUDNN_TENSOR_NCHW || format == CUDNN_TENSOR_NHWC;
}

/// Steps of a dense array whose axes are those of `sizes`, in memory in that order or
/// with the second as the last.
std::array<int, CUDNN_DIM_MAX> DenseStrides(cudnnTensorFormat_t format, int axes,
                                            const int* sizes) {
  std::array<int, CUDNN_DIM_MAX> strides = {};
  const bool channels_last = format == CUDNN_TENSOR_NHWC;
  int step = 1;
  if (channels_last) {
    strides[1] = step;
    step *= sizes[1];
  }
  for (int axis = axes - 1; axis >= 0; --axis) {
    if (axis == 1 && channels_last) continue;
    strides[axis] = step;
    step *= sizes[axis];
  }
  return strides;
}

cudnnStatus_t SetTensor(cudnnTensorDescriptor_t descriptor, cudnnDataType_t type,
                        int count, const int* sizes, const int* strides) {
  if (!descriptor || !sizes || !strides || !IsKnown(type)) return CUDNN_STATUS_BAD_PARAM;
  if (count < kSmallestAxes || count > CUDNN_DIM_MAX) return CUDNN_STATUS_NOT_SUPPORTED;
  if (!AreAtLeast(1, sizes, count)) return CUDNN_STATUS_BAD_PARAM;
  std::int64_t elements = 1;
  for (int axis = 0; axis < count; ++axis) {
    elements *= sizes[axis];
    if (elements > INT_MAX) return CUDNN_STATUS_NOT_SUPPORTED;
  }
  descriptor->type = type;
  descriptor->axes = count;
  std::copy(sizes, sizes + count, descriptor->sizes.begin());
  std::copy(strides, strides + count, descriptor->strides.begin());
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t SetTensor(cudnnTensorDescriptor_t descriptor, cudnnTensorFormat_t format,
                        cudnnDataType_t type, int count, const int* sizes) {
  if (!sizes || !IsKnown(format)) return CUDNN_STATUS_BAD_PARAM;
  if (count < kSmallestAxes || count > CUDNN_DIM_MAX) return CUDNN_STATUS_NOT_SUPPORTED;
  return SetTensor(descriptor, type, count, sizes,
                   DenseStrides(format, count, sizes).data());
}

cudnnStatus_t SetFilter(cudnnFilterDescriptor_t descriptor, cudnnDataType_t type,
                        cudnnTensorFormat_t format, int count, const int* sizes) {
  if (!descriptor || !sizes || !IsKnown(type) || !IsKnown(format) ||
      count < kSmallestAxes || count > CUDNN_DIM_MAX || !AreAtLeast(1, sizes, count)) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  descriptor->type = type;
  descriptor->format = format;
  descriptor->axes = count;
  std::copy(sizes, sizes + count, descriptor->sizes.begin());
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t SetConvolution(cudnnConvolutionDescriptor_t descriptor, int count,
                             const int* pads, const int* strides, const int* dilations,
                             cudnnConvolutionMode_t mode, cudnnDataType_t compute_type) {
  if (!descriptor || !pads || !strides || !dilations || count < 2 ||
      count > CUDNN_DIM_MAX - 2 || !AreAtLeast(0, pads, count) ||
      !AreAtLeast(1, strides, count) || !AreAtLeast(1, dilations, count) ||
      (mode != CUDNN_CONVOLUTION && mode != CUDNN_CROSS_CORRELATION) ||
      !IsKnown(compute_type)) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  descriptor->axes = count;
  std::copy(pads, pads + count, descriptor->pads.begin());
  std::copy(strides, strides + count, descriptor->strides.begin());
  std::copy(dilations, dilations + count, descriptor->dilations.begin());
  descriptor->mode = mode;
  descriptor->compute_type = compute_type;
  return CUDNN_STATUS_SUCCESS;
}

bool ViewOf(cudnnDataType_t type, int axes, const int* sizes, const int* strides,
            TensorView* view) {
  if (!FormatOf(type, &view->format) || axes < 4 || axes > TensorView::kAxes) {
    return false;
  }
  view->sizes[2] = 1;
  view->steps[2] = 0;
  for (int axis = 0; axis < axes; ++axis) {
    const int to = axis < 2 ? axis : axis + TensorView::kAxes - axes;
    view->sizes[to] = sizes[axis];
    view->steps[to] = strides[axis];
  }
  return true;
}

template <typename Array>
void CopyFirst(int count, const Array& from, int* to) {
  std::copy(from.begin(), from.begin() + count, to);
}

std::size_t SizeInBytes(cudnnDataType_t type) {
  NumberFormat format;
  if (FormatOf(type, &format)) return SizeOf(format);
  return type == CUDNN_DATA_INT8 ? 1 : 4;
}

}  // namespace

bool ViewOf(const cudnnTensorStruct& tensor, TensorView* view) {
  return ViewOf(tensor.type, tensor.axes, tensor.sizes.data(), tensor.strides.data(),
                view);
}

bool ViewOf(const cudnnFilterStruct& filter, TensorView* view) {
  return ViewOf(filter.type, filter.axes, filter.sizes.data(),
                DenseStrides(filter.format, filter.axes, filter.sizes.data()).data(),
                view);
}

}  // namespace cuda_emulation

using namespace cuda_emulation;  // NOLINT(build/namespaces)

// --- Tensors

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* descriptor) {
  return Create(descriptor);
}

cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t descriptor,
                                         cudnnTensorFormat_t format, cudnnDataType_t type,
                                         int n, int c, int h, int w) {
  const int sizes[] = {n, c, h, w};
  return SetTensor(descriptor, format, type, 4, sizes);
}

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t descriptor,
                                           cudnnDataType_t type, int n, int c, int h,
                                           int w, int n_stride, int c_stride,
                                           int h_stride, int w_stride) {
  const int sizes[] = {n, c, h, w};
  const int strides[] = {n_stride, c_stride, h_stride, w_stride};
  return SetTensor(descriptor, type, 4, sizes, strides);
}

cudnnStatus_t cudnnGetTensor4dDescriptor(const cudnnTensorDescriptor_t descriptor,
                                         cudnnDataType_t* type, int* n, int* c, int* h,
                                         int* w, int* n_stride, int* c_stride,
                                         int* h_stride, int* w_stride) {
  if (!descriptor || descriptor->axes != 4) return CUDNN_STATUS_BAD_PARAM;
  *type = descriptor->type;
  int* const sizes[] = {n, c, h, w};
  int* const strides[] = {n_stride, c_stride, h_stride, w_stride};
  for (int axis = 0; axis < 4; ++axis) {
    *sizes[axis] = descriptor->sizes[axis];
    *strides[axis] = descriptor->strides[axis];
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t descriptor,
                                         cudnnDataType_t type, int count,
                                         const int sizes[], const int strides[]) {
  return SetTensor(descriptor, type, count, sizes, strides);
}

cudnnStatus_t cudnnSetTensorNdDescriptorEx(cudnnTensorDescriptor_t descriptor,
                                           cudnnTensorFormat_t format,
                                           cudnnDataType_t type, int count,
                                           const int sizes[]) {
  return SetTensor(descriptor, format, type, count, sizes);
}

cudnnStatus_t cudnnGetTensorNdDescriptor(const cudnnTensorDescriptor_t descriptor,
                                         int requested, cudnnDataType_t* type, int* count,
                                         int sizes[], int strides[]) {
  if (!descriptor || requested < 0) return CUDNN_STATUS_BAD_PARAM;
  *type = descriptor->type;
  *count = descriptor->axes;
  const int copied = std::min(requested, descriptor->axes);
  CopyFirst(copied, descriptor->sizes, sizes);
  CopyFirst(copied, descriptor->strides, strides);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetTensorSizeInBytes(const cudnnTensorDescriptor_t descriptor,
                                        std::size_t* size) {
  if (!descriptor || !size) return CUDNN_STATUS_BAD_PARAM;
  std::size_t last = 0;
  for (int axis = 0; axis < descriptor->axes; ++axis) {
    last +=
        static_cast<std::size_t>(descriptor->sizes[axis] - 1) * descriptor->strides[axis];
  }
  *size = (last + 1) * SizeInBytes(descriptor->type);
  return CUDNN_STATUS_SUCCESS;
}

// --- Filters

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* descriptor) {
  return Create(descriptor);
}

cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t descriptor,
                                         cudnnDataType_t type, cudnnTensorFormat_t format,
                                         int k, int c, int h, int w) {
  const int sizes[] = {k, c, h, w};
  return SetFilter(descriptor, type, format, 4, sizes);
}

cudnnStatus_t cudnnGetFilter4dDescriptor(const cudnnFilterDescriptor_t descriptor,
                                         cudnnDataType_t* type,
                                         cudnnTensorFormat_t* format, int* k, int* c,
                                         int* h, int* w) {
  if (!descriptor || descriptor->axes != 4) return CUDNN_STATUS_BAD_PARAM;
  *type = descriptor->type;
  *format = descriptor->format;
  *k = descriptor->sizes[0];
  *c = descriptor->sizes[1];
  *h = descriptor->sizes[2];
  *w = descriptor->sizes[3];
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t descriptor,
                                         cudnnDataType_t type, cudnnTensorFormat_t format,
                                         int count, const int sizes[]) {
  return SetFilter(descriptor, type, format, count, sizes);
}

cudnnStatus_t cudnnGetFilterNdDescriptor(const cudnnFilterDescriptor_t descriptor,
                                         int requested, cudnnDataType_t* type,
                                         cudnnTensorFormat_t* format, int* count,
                                         int sizes[]) {
  if (!descriptor || requested < 0) return CUDNN_STATUS_BAD_PARAM;
  *type = descriptor->type;
  *format = descriptor->format;
  *count = descriptor->axes;
  CopyFirst(std::min(requested, descriptor->axes), descriptor->sizes, sizes);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetFilterSizeInBytes(const cudnnFilterDescriptor_t descriptor,
                                        std::size_t* size) {
  if (!descriptor || !size) return CUDNN_STATUS_BAD_PARAM;
  *size = SizeInBytes(descriptor->type);
  for (int axis = 0; axis < descriptor->axes; ++axis) *size *= descriptor->sizes[axis];
  return CUDNN_STATUS_SUCCESS;
}

// --- Convolutions

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* descriptor) {
  return Create(descriptor);
}

cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t descriptor,
                                              int pad_h, int pad_w, int u, int v,
                                              int dilation_h, int dilation_w,
                                              cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute_type) {
  const int pads[] = {pad_h, pad_w};
  const int strides[] = {u, v};
  const int dilations[] = {dilation_h, dilation_w};
  return SetConvolution(descriptor, 2, pads, strides, dilations, mode, compute_type);
}

cudnnStatus_t cudnnGetConvolution2dDescriptor(
    const cudnnConvolutionDescriptor_t descriptor, int* pad_h, int* pad_w, int* u, int* v,
    int* dilation_h, int* dilation_w, cudnnConvolutionMode_t* mode,
    cudnnDataType_t* compute_type) {
  if (!descriptor || descriptor->axes != 2) return CUDNN_STATUS_BAD_PARAM;
  *pad_h = descriptor->pads[0];
  *pad_w = descriptor->pads[1];
  *u = descriptor->strides[0];
  *v = descriptor->strides[1];
  *dilation_h = descriptor->dilations[0];
  *dilation_w = descriptor->dilations[1];
  *mode = descriptor->mode;
  *compute_type = descriptor->compute_type;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionNdDescriptor(cudnnConvolutionDescriptor_t descriptor,
                                              int count, const int pads[],
                                              const int strides[], const int dilations[],
                                              cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute_type) {
  return SetConvolution(descriptor, count, pads, strides, dilations, mode, compute_type);
}

cudnnStatus_t cudnnGetConvolutionNdDescriptor(
    const cudnnConvolutionDescriptor_t descriptor, int requested, int* count, int pads[],
    int strides[], int dilations[], cudnnConvolutionMode_t* mode,
    cudnnDataType_t* compute_type) {
  if (!descriptor || requested < 0) return CUDNN_STATUS_BAD_PARAM;
  *count = descriptor->axes;
  const int copied = std::min(requested, descriptor->axes);
  CopyFirst(copied, descriptor->pads, pads);
  CopyFirst(copied, descriptor->strides, strides);
  CopyFirst(copied, descriptor->dilations, dilations);
  *mode = descriptor->mode;
  *compute_type = descriptor->compute_type;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t descriptor,
                                          cudnnMathType_t math) {
  if (!descriptor || math < CUDNN_DEFAULT_MATH || math > CUDNN_FMA_MATH) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  descriptor->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionMathType(cudnnConvolutionDescriptor_t descriptor,
                                          cudnnMathType_t* math) {
  if (!descriptor || !math) return CUDNN_STATUS_BAD_PARAM;
  *math = descriptor->math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t descriptor,
                                            int groups) {
  if (!descriptor || groups < 1) return CUDNN_STATUS_BAD_PARAM;
  descriptor->groups = groups;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionGroupCount(cudnnConvolutionDescriptor_t descriptor,
                                            int* groups) {
  if (!descriptor || !groups) return CUDNN_STATUS_BAD_PARAM;
  *groups = descriptor->groups;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionNdForwardOutputDim(
    const cudnnConvolutionDescriptor_t descriptor, const cudnnTensorDescriptor_t x_desc,
    const cudnnFilterDescriptor_t w_desc, int count, int sizes[]) {
  if (!descriptor || !x_desc || !w_desc || !sizes || count != x_desc->axes ||
      count != w_desc->axes || count != descriptor->axes + 2 ||
      x_desc->sizes[1] != w_desc->sizes[1] * descriptor->groups ||
      w_desc->sizes[0] % descriptor->groups != 0) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  sizes[0] = x_desc->sizes[0];
  sizes[1] = w_desc->sizes[0];
  for (int axis = 0; axis < descriptor->axes; ++axis) {
    const int window = (w_desc->sizes[axis + 2] - 1) * descriptor->dilations[axis] + 1;
    const int room = x_desc->sizes[axis + 2] + 2 * descriptor->pads[axis] - window;
    if (room < 0) return CUDNN_STATUS_BAD_PARAM;
    sizes[axis + 2] = room / descriptor->strides[axis] + 1;
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(
    const cudnnConvolutionDescriptor_t descriptor, const cudnnTensorDescriptor_t x_desc,
    const cudnnFilterDescriptor_t w_desc, int* n, int* c, int* h, int* w) {
  int sizes[4];
  const cudnnStatus_t status =
      cudnnGetConvolutionNdForwardOutputDim(descriptor, x_desc, w_desc, 4, sizes);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  *n = sizes[0];
  *c = sizes[1];
  *h = sizes[2];
  *w = sizes[3];
  return CUDNN_STATUS_SUCCESS;
}

// --- Activations and pooling

cudnnStatus_t cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t* descriptor) {
  return Create(descriptor);
}

cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t descriptor,
                                           cudnnActivationMode_t mode,
                                           cudnnNanPropagation_t nan, double coef) {
  if (!descriptor || mode < CUDNN_ACTIVATION_SIGMOID ||
      mode > CUDNN_ACTIVATION_IDENTITY) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *descriptor = {mode, nan, coef};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetActivationDescriptor(const cudnnActivationDescriptor_t descriptor,
                                           cudnnActivationMode_t* mode,
                                           cudnnNanPropagation_t* nan, double* coef) {
  if (!descriptor) return CUDNN_STATUS_BAD_PARAM;
  *mode = descriptor->mode;
  *nan = descriptor->nan;
  *coef = descriptor->coef;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreatePoolingDescriptor(cudnnPoolingDescriptor_t* descriptor) {
  return Create(descriptor);
}

cudnnStatus_t cudnnDestroyPoolingDescriptor(cudnnPoolingDescriptor_t descriptor) {
  delete descriptor;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t descriptor,
                                          cudnnPoolingMode_t mode,
                                          cudnnNanPropagation_t nan, int window_h,
                                          int window_w, int pad_h, int pad_w,
                                          int stride_h, int stride_w) {
  const int positive[] = {window_h, window_w, stride_h, stride_w};
  const int pads[] = {pad_h, pad_w};
  if (!descriptor || mode < CUDNN_POOLING_MAX || mode > CUDNN_POOLING_MAX_DETERMINISTIC ||
      !AreAtLeast(1, positive, 4) || !AreAtLeast(0, pads, 2)) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *descriptor = {mode, nan, {window_h, window_w}, {pad_h, pad_w}, {stride_h, stride_w}};
  return CUDNN_STATUS_SUCCESS;
}
