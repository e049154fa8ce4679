// Work of the libraries keeps to streams, graphs and devices.

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cudnn.h>
#include <curand.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "cudnn_objects.h"
#include "device_array.h"

namespace cuda_emulation {
namespace test {
namespace {

class LibraryStreamsTest : public ::testing::Test {
 protected:
  LibraryStreamsTest() {
    ResetAll();
    SetDeviceCount(2);
    EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cublasCreate(&blas_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasSetStream(blas_, stream_), CUBLAS_STATUS_SUCCESS);
  }
  ~LibraryStreamsTest() override {
    EXPECT_EQ(cublasDestroy(blas_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    ResetAll();
  }

  /// y = x * x of one number, by cuBLAS.
  cublasStatus_t Square(const DeviceArray& x, const DeviceArray& y) {
    const float one = 1, zero = 0;
    return cublasSgemm(blas_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, x.as<float>(), 1,
                       x.as<float>(), 1, &zero, y.as<float>(), 1);
  }
  void Synchronize() { EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess); }

  static constexpr NumberFormat kFloat = NumberFormat::kFloat;
  cudaStream_t stream_ = nullptr;
  cublasHandle_t blas_ = nullptr;
};

TEST_F(LibraryStreamsTest, ProductsAreThereWhenTheirStreamHasGotSoFar) {
  const DeviceArray x(kFloat, {3}), y(kFloat, Unset{1}), z(kFloat, Unset{1});
  EXPECT_EQ(Square(x, y), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(Square(y, z), CUBLAS_STATUS_SUCCESS);
  EXPECT_TRUE(std::isnan(z.Read()[0]));
  Synchronize();
  EXPECT_EQ(z.Read()[0], 81);
}

TEST_F(LibraryStreamsTest, AResultInHostMemoryIsThereOnReturn) {
  const DeviceArray x(kFloat, {3}), y(kFloat, Unset{1}), sum(kFloat, Unset{1});
  float host = 0;
  EXPECT_EQ(Square(x, y), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasSasum(blas_, 1, y.as<float>(), 1, &host), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(host, 9);
  EXPECT_EQ(cublasSetPointerMode(blas_, CUBLAS_POINTER_MODE_DEVICE),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasSasum(blas_, 1, y.as<float>(), 1, sum.as<float>()),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_TRUE(std::isnan(sum.Read()[0]));
  Synchronize();
  EXPECT_EQ(sum.Read()[0], 9);
}

TEST_F(LibraryStreamsTest, ScalesOfTheHostAreReadByTheCall) {
  const DeviceArray x(kFloat, {3}), y(kFloat, {1});
  float alpha = 2;
  EXPECT_EQ(cublasSaxpy(blas_, 1, &alpha, x.as<float>(), 1, y.as<float>(), 1),
            CUBLAS_STATUS_SUCCESS);
  alpha = 100;
  Synchronize();
  EXPECT_EQ(y.Read()[0], 7);
}

TEST_F(LibraryStreamsTest, RandomNumbersAreOfTheCallsPlaceInTheSequence) {
  curandGenerator_t generator = nullptr;
  ASSERT_EQ(curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT),
            CURAND_STATUS_SUCCESS);
  ASSERT_EQ(curandSetStream(generator, stream_), CURAND_STATUS_SUCCESS);
  const DeviceArray first(kFloat, Unset{4}), again(kFloat, Unset{4});
  EXPECT_EQ(curandGenerateUniform(generator, first.as<float>(), 4),
            CURAND_STATUS_SUCCESS);
  EXPECT_EQ(curandSetGeneratorOffset(generator, 0), CURAND_STATUS_SUCCESS);
  EXPECT_EQ(curandGenerateUniform(generator, again.as<float>(), 4),
            CURAND_STATUS_SUCCESS);
  EXPECT_TRUE(std::isnan(first.Read()[0]));
  Synchronize();
  EXPECT_FALSE(std::isnan(first.Read()[0]));
  EXPECT_EQ(again.Read(), first.Read());
  EXPECT_EQ(curandDestroyGenerator(generator), CURAND_STATUS_SUCCESS);
}

/// A convolution of one number by one.
class OneNumber {
 public:
  OneNumber() {
    EXPECT_EQ(cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1,
                                         1, 1, 1),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetFilter4dDescriptor(filter, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 1,
                                         1, 1, 1),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetConvolution2dDescriptor(convolution, 0, 0, 1, 1, 1, 1,
                                              CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
              CUDNN_STATUS_SUCCESS);
  }
  /// y = x * w.
  cudnnStatus_t Run(cudnnHandle_t handle, const DeviceArray& x, const DeviceArray& w,
                    const DeviceArray& y) const {
    const float one = 1, zero = 0;
    return cudnnConvolutionForward(handle, &one, tensor, x.data(), filter, w.data(),
                                   convolution, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
                                   nullptr, 0, &zero, tensor, y.data());
  }
  cudnnStatus_t Find(cudnnHandle_t handle) const {
    cudnnConvolutionFwdAlgoPerf_t perf;
    int count = 0;
    return cudnnFindConvolutionForwardAlgorithm(handle, tensor, filter, convolution,
                                                tensor, 1, &count, &perf);
  }

  TensorDescriptor tensor;
  FilterDescriptor filter;
  ConvolutionDescriptor convolution;
};

TEST_F(LibraryStreamsTest, GraphsRunTheLibrariesWorkAgain) {
  const CudnnHandle dnn;
  const OneNumber problem;
  ASSERT_EQ(cudnnSetStream(dnn, stream_), CUDNN_STATUS_SUCCESS);
  DeviceArray x(kFloat, {3});
  const DeviceArray y(kFloat, Unset{1}), z(kFloat, Unset{1});
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(Square(x, y), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(problem.Run(dnn, x, y, z), CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (const double value : {2, 5}) {
    x.Write({value});
    EXPECT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
    Synchronize();
    EXPECT_EQ(z.Read()[0], value * value * value);
  }
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

TEST_F(LibraryStreamsTest, WhatWaitsForTheDeviceCannotBeRecorded) {
  const CudnnHandle dnn;
  const OneNumber problem;
  ASSERT_EQ(cudnnSetStream(dnn, stream_), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(problem.Find(dnn), CUDNN_STATUS_SUCCESS);
  const DeviceArray x(kFloat, {3});
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(problem.Find(dnn), CUDNN_STATUS_EXECUTION_FAILED);
  EXPECT_NE(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  float host = 0;
  EXPECT_EQ(cublasSasum(blas_, 1, x.as<float>(), 1, &host),
            CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_NE(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  cudaGetLastError();
}

TEST_F(LibraryStreamsTest, HandlesKeepToTheirDevice) {
  const CudnnHandle dnn;
  const OneNumber problem;
  const DeviceArray x(kFloat, {3}), y(kFloat, Unset{1});
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  cudaStream_t other = nullptr;
  ASSERT_EQ(cudaStreamCreate(&other), cudaSuccess);
  EXPECT_EQ(Square(x, y), CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(problem.Run(dnn, x, x, y), CUDNN_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(cublasSetStream(blas_, other), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cudnnSetStream(dnn, other), CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH);
  ASSERT_EQ(cudaStreamDestroy(other), cudaSuccess);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(problem.Run(dnn, x, x, y), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(y.Read()[0], 9);
}

TEST_F(LibraryStreamsTest, MemoryOfAnotherDeviceIsAFaultUnlessTheyArePeers) {
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  {
    const DeviceArray remote(kFloat, {3});
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    const DeviceArray y(kFloat, Unset{1});
    ASSERT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaSuccess);
    EXPECT_EQ(Square(remote, y), CUBLAS_STATUS_SUCCESS);
    Synchronize();
    EXPECT_EQ(y.Read()[0], 9);
    ASSERT_EQ(cudaDeviceDisablePeerAccess(1), cudaSuccess);
  }
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  void* remote = nullptr;
  ASSERT_EQ(cudaMalloc(&remote, sizeof(float)), cudaSuccess);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  const float alpha = 2;
  EXPECT_EQ(cublasSscal(blas_, 1, &alpha, static_cast<float*>(remote), 1),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorIllegalAddress);
  EXPECT_NE(LastFault().find("cublas<t>scal"), std::string::npos) << LastFault();
  EXPECT_EQ(cudaDeviceReset(), cudaSuccess);
  cudaGetLastError();
}

}  // namespace
}  // namespace test
}  // namespace cuda_emulation
