// cuDNN's handle, and what its functions have in common.

#include <cudnn.h>

#include <utility>

#include "cudnn_context.h"
#include "library_call.h"

namespace cuda_emulation {

bool FormatOf(cudnnDataType_t type, NumberFormat* format) {
  switch (type) {
    case CUDNN_DATA_FLOAT:
      *format = NumberFormat::kFloat;
      return true;
    case CUDNN_DATA_DOUBLE:
      *format = NumberFormat::kDouble;
      return true;
    case CUDNN_DATA_HALF:
      *format = NumberFormat::kHalf;
      return true;
    case CUDNN_DATA_BFLOAT16:
      *format = NumberFormat::kBfloat16;
      return true;
    default:
      return false;
  }
}

double ScaleOf(NumberFormat format, const void* pointer) {
  return LoadOne(
      format == NumberFormat::kDouble ? NumberFormat::kDouble : NumberFormat::kFloat,
      pointer);
}

cudnnStatus_t Run(const char* function, cudnnHandle_t handle,
                  std::initializer_list<Operand> operands, std::function<void()> work) {
  if (!handle) return CUDNN_STATUS_BAD_PARAM;
  for (const Operand& operand : operands) {
    if (!operand.data && operand.bytes > 0) return CUDNN_STATUS_BAD_PARAM;
  }
  if (!IsCurrent(function, handle->device)) return CUDNN_STATUS_EXECUTION_FAILED;
  for (const Operand& operand : operands) {
    if (!IsOnDevice(function, operand.name, operand.data, operand.bytes)) {
      return CUDNN_STATUS_EXECUTION_FAILED;
    }
  }
  return Enqueue(handle->stream, std::move(work), function) == cudaSuccess
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // namespace cuda_emulation

std::size_t cudnnGetVersion() { return CUDNN_VERSION; }

std::size_t cudnnGetCudartVersion() { return CUDART_VERSION; }

cudnnStatus_t cudnnGetProperty(libraryPropertyType type, int* value) {
  if (!value) return CUDNN_STATUS_BAD_PARAM;
  switch (type) {
    case MAJOR_VERSION:
      *value = CUDNN_MAJOR;
      return CUDNN_STATUS_SUCCESS;
    case MINOR_VERSION:
      *value = CUDNN_MINOR;
      return CUDNN_STATUS_SUCCESS;
    case PATCH_LEVEL:
      *value = CUDNN_PATCHLEVEL;
      return CUDNN_STATUS_SUCCESS;
  }
  return CUDNN_STATUS_BAD_PARAM;
}

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED:
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_BAD_PARAM_NULL_POINTER:
      return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
    case CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH:
      return "CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_INTERNAL_ERROR:
      return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED:
      return "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
  return "CUDNN_UNKNOWN_STATUS";
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (!handle) return CUDNN_STATUS_BAD_PARAM;
  *handle = new cudnnContext{cuda_emulation::CurrentDevice(), nullptr};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  if (!handle) return CUDNN_STATUS_BAD_PARAM;
  if (!cuda_emulation::IsStreamOf(stream, handle->device)) {
    return CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
  }
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  if (!handle || !stream) return CUDNN_STATUS_BAD_PARAM;
  *stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}
