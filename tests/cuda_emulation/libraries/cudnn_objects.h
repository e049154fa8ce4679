#ifndef CUDA_EMULATION_CUDNN_OBJECTS_H_
#define CUDA_EMULATION_CUDNN_OBJECTS_H_

#include <cudnn.h>
#include <gtest/gtest.h>

namespace cuda_emulation {
namespace test {

/// A handle or descriptor that tests need not destroy.
template <typename T, cudnnStatus_t (*kCreate)(T*), cudnnStatus_t (*kDestroy)(T)>
class CudnnObject {
 public:
  CudnnObject() { EXPECT_EQ(kCreate(&object_), CUDNN_STATUS_SUCCESS); }
  ~CudnnObject() { EXPECT_EQ(kDestroy(object_), CUDNN_STATUS_SUCCESS); }
  CudnnObject(const CudnnObject&) = delete;
  operator T() const { return object_; }

 private:
  T object_ = nullptr;
};

using CudnnHandle = CudnnObject<cudnnHandle_t, cudnnCreate, cudnnDestroy>;
using TensorDescriptor = CudnnObject<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor,
                                     cudnnDestroyTensorDescriptor>;
using FilterDescriptor = CudnnObject<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor,
                                     cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor =
    CudnnObject<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                cudnnDestroyConvolutionDescriptor>;
using ActivationDescriptor =
    CudnnObject<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor,
                cudnnDestroyActivationDescriptor>;

}  // namespace test
}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_CUDNN_OBJECTS_H_
