// cuDNN's handle, descriptors, element-wise functions and batch normalisation in the
// layouts and types that no layer's test uses.

#include <cudnn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "cudnn_objects.h"
#include "device_array.h"
#include "tolerance.hpp"

namespace cuda_emulation {
namespace test {
namespace {

using caffe::test::ExpectClose;
using caffe::test::OpKind;
using caffe::test::ToleranceOf;

TEST(CudnnHandleTest, KnowsItsVersionAndErrors) {
  int major = 0;
  EXPECT_EQ(cudnnGetVersion(), static_cast<std::size_t>(CUDNN_VERSION));
  EXPECT_EQ(cudnnGetProperty(MAJOR_VERSION, &major), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(major, CUDNN_MAJOR);
  EXPECT_STREQ(cudnnGetErrorString(CUDNN_STATUS_NOT_SUPPORTED),
               "CUDNN_STATUS_NOT_SUPPORTED");
  EXPECT_STREQ(cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM), "CUDNN_STATUS_BAD_PARAM");
}

TEST(CudnnHandleTest, NeedsAHandleAndDeviceMemory) {
  const TensorDescriptor desc;
  ASSERT_EQ(
      cudnnSetTensor4dDescriptor(desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 1, 1, 2),
      CUDNN_STATUS_SUCCESS);
  const CudnnHandle handle;
  const DeviceArray array(NumberFormat::kFloat, {1, 2});
  float host[2] = {1, 2};
  const float two = 2;
  EXPECT_EQ(cudnnScaleTensor(nullptr, desc, array.data(), &two), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnScaleTensor(handle, desc, nullptr, &two), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnScaleTensor(handle, desc, host, &two), CUDNN_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(cudnnScaleTensor(handle, desc, array.data(), &two), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(array.Read(), (std::vector<double>{2, 4}));
  EXPECT_EQ(cudnnSetTensor(handle, desc, array.data(), &two), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(array.Read(), (std::vector<double>{2, 2}));
}

TEST(CudnnTensorTest, StridesFollowTheFormat) {
  const TensorDescriptor desc;
  cudnnDataType_t type;
  int n, c, h, w, ns, cs, hs, ws;
  const auto strides = [&](cudnnTensorFormat_t format) {
    EXPECT_EQ(cudnnSetTensor4dDescriptor(desc, format, CUDNN_DATA_HALF, 2, 3, 4, 5),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnGetTensor4dDescriptor(desc, &type, &n, &c, &h, &w, &ns, &cs, &hs, &ws),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(type, CUDNN_DATA_HALF);
    EXPECT_EQ((std::vector<int>{n, c, h, w}), (std::vector<int>{2, 3, 4, 5}));
    return std::vector<int>{ns, cs, hs, ws};
  };
  EXPECT_EQ(strides(CUDNN_TENSOR_NCHW), (std::vector<int>{60, 20, 5, 1}));
  EXPECT_EQ(strides(CUDNN_TENSOR_NHWC), (std::vector<int>{60, 1, 15, 3}));
  std::size_t bytes = 0;
  EXPECT_EQ(cudnnGetTensorSizeInBytes(desc, &bytes), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(bytes, 2u * 120);
  const int sizes[] = {2, 3, 4};
  EXPECT_EQ(cudnnSetTensorNdDescriptor(desc, CUDNN_DATA_FLOAT, 3, sizes, sizes),
            CUDNN_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(
      cudnnSetTensor4dDescriptor(desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 0, 3, 4, 5),
      CUDNN_STATUS_BAD_PARAM);
}

TEST(CudnnTensorTest, TransformChangesLayoutAndType) {
  const int n = 2, c = 3, h = 2, w = 4;
  const CudnnHandle handle;
  const TensorDescriptor from, to;
  ASSERT_EQ(
      cudnnSetTensor4dDescriptor(from, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, n, c, h, w),
      CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(
      cudnnSetTensor4dDescriptor(to, CUDNN_TENSOR_NHWC, CUDNN_DATA_BFLOAT16, n, c, h, w),
      CUDNN_STATUS_SUCCESS);
  const std::vector<double> values = Inputs(NumberFormat::kBfloat16, 1, n * c * h * w);
  const DeviceArray x(NumberFormat::kFloat, values);
  const DeviceArray y(NumberFormat::kBfloat16, Unset{values.size()});
  const float one = 1, zero = 0;
  ASSERT_EQ(cudnnTransformTensor(handle, &one, from, x.data(), &zero, to, y.data()),
            CUDNN_STATUS_SUCCESS);
  const std::vector<double> got = y.Read();
  std::size_t i = 0;
  for (int image = 0; image < n; ++image) {
    for (int channel = 0; channel < c; ++channel) {
      for (int place = 0; place < h * w; ++place) {
        EXPECT_EQ(got[(image * h * w + place) * c + channel], values[i++]);
      }
    }
  }
}

TEST(CudnnTensorTest, AddRepeatsTheAxesOfSizeOne) {
  const CudnnHandle handle;
  const TensorDescriptor bias, all;
  ASSERT_EQ(
      cudnnSetTensor4dDescriptor(bias, CUDNN_TENSOR_NCHW, CUDNN_DATA_DOUBLE, 1, 2, 1, 1),
      CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(
      cudnnSetTensor4dDescriptor(all, CUDNN_TENSOR_NCHW, CUDNN_DATA_DOUBLE, 2, 2, 1, 2),
      CUDNN_STATUS_SUCCESS);
  const DeviceArray a(NumberFormat::kDouble, {10, 20});
  const DeviceArray y(NumberFormat::kDouble, {1, 2, 3, 4, 5, 6, 7, 8});
  const double alpha = 2, beta = -1;
  EXPECT_EQ(cudnnAddTensor(handle, &alpha, bias, a.data(), &beta, all, y.data()),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(y.Read(), (std::vector<double>{19, 18, 37, 36, 15, 14, 33, 32}));
  EXPECT_EQ(cudnnAddTensor(handle, &alpha, all, y.data(), &beta, bias, a.data()),
            CUDNN_STATUS_BAD_PARAM);
}

/// Batch normalisation of an NHWC tensor, whose parameters are of float if it is of 16
/// bits.
class ChannelsLastBatchNormTest : public ::testing::TestWithParam<NumberFormat> {
 protected:
  static constexpr int kBatch = 3, kChannels = 2, kPlaces = 4;
  static constexpr double kEpsilon = 1e-3;

  void SetUp() override {
    const bool is_half = GetParam() == NumberFormat::kHalf;
    ASSERT_EQ(cudnnSetTensor4dDescriptor(data_, CUDNN_TENSOR_NHWC,
                                         is_half ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT,
                                         kBatch, kChannels, 1, kPlaces),
              CUDNN_STATUS_SUCCESS);
    ASSERT_EQ(cudnnDeriveBNTensorDescriptor(parameters_, data_, CUDNN_BATCHNORM_SPATIAL),
              CUDNN_STATUS_SUCCESS);
  }
  /// Calls function(channel, place in memory).
  template <typename Function>
  static void ForElements(Function function) {
    for (int i = 0; i < kBatch * kPlaces; ++i) {
      for (int c = 0; c < kChannels; ++c) function(c, i * kChannels + c);
    }
  }
  static constexpr int kCount = kBatch * kPlaces * kChannels;

  CudnnHandle handle_;
  TensorDescriptor data_, parameters_;
};

TEST_P(ChannelsLastBatchNormTest, ForwardAndBackward) {
  const std::vector<double> x = Inputs(GetParam(), 60, kCount);
  const std::vector<double> dy = Inputs(GetParam(), 61, kCount);
  const std::vector<double> scale = {1.5, -0.5}, bias = {0.25, 2};
  std::vector<double> mean(kChannels), variance(kChannels), sum(kChannels),
      dot(kChannels);
  const double size = kBatch * kPlaces;
  ForElements([&](int c, int i) { mean[c] += x[i] / size; });
  ForElements([&](int c, int i) { variance[c] += std::pow(x[i] - mean[c], 2) / size; });
  const auto unit = [&](int c, int i) {
    return (x[i] - mean[c]) / std::sqrt(variance[c] + kEpsilon);
  };
  std::vector<double> y(kCount), dx(kCount);
  ForElements([&](int c, int i) {
    y[i] = scale[c] * unit(c, i) + bias[c];
    sum[c] += dy[i];
    dot[c] += dy[i] * unit(c, i);
  });
  ForElements([&](int c, int i) {
    dx[i] = scale[c] / std::sqrt(variance[c] + kEpsilon) *
            (dy[i] - sum[c] / size - unit(c, i) * dot[c] / size);
  });
  std::vector<double> inverse, running_variance;
  for (const double value : variance) {
    inverse.push_back(1 / std::sqrt(value + kEpsilon));
    running_variance.push_back(value * size / (size - 1));
  }

  const auto kParameters = NumberFormat::kFloat;
  const DeviceArray device_x(GetParam(), x), device_dy(GetParam(), dy);
  const DeviceArray device_scale(kParameters, scale), device_bias(kParameters, bias);
  const DeviceArray running_mean_array(kParameters, Unset{kChannels}),
      running_variance_array(kParameters, Unset{kChannels}),
      saved_mean(kParameters, Unset{kChannels}),
      saved_inverse(kParameters, Unset{kChannels}), dscale(kParameters, Unset{kChannels}),
      dbias(kParameters, Unset{kChannels});
  const DeviceArray device_y(GetParam(), Unset{kCount}),
      device_dx(GetParam(), Unset{kCount});
  const float one = 1, zero = 0;
  ASSERT_EQ(
      cudnnBatchNormalizationForwardTraining(
          handle_, CUDNN_BATCHNORM_SPATIAL, &one, &zero, data_, device_x.data(), data_,
          device_y.data(), parameters_, device_scale.data(), device_bias.data(), 1,
          running_mean_array.data(), running_variance_array.data(), kEpsilon,
          saved_mean.data(), saved_inverse.data()),
      CUDNN_STATUS_SUCCESS);
  const auto tolerance = ToleranceOf<float>(OpKind::kNormalization, kBatch * kPlaces);
  ExpectClose(device_y.Read(), Rounded(GetParam(), y), tolerance, "y");
  ExpectClose(saved_mean.Read(), mean, tolerance, "saved mean");
  ExpectClose(saved_inverse.Read(), inverse, tolerance, "saved inverse");
  ExpectClose(running_mean_array.Read(), mean, tolerance, "running mean");
  ExpectClose(running_variance_array.Read(), running_variance, tolerance,
              "running variance");
  ASSERT_EQ(cudnnBatchNormalizationBackward(
                handle_, CUDNN_BATCHNORM_SPATIAL, &one, &zero, &one, &zero, data_,
                device_x.data(), data_, device_dy.data(), data_, device_dx.data(),
                parameters_, device_scale.data(), dscale.data(), dbias.data(), kEpsilon,
                saved_mean.data(), saved_inverse.data()),
            CUDNN_STATUS_SUCCESS);
  ExpectClose(device_dx.Read(), Rounded(GetParam(), dx), tolerance, "dx");
  ExpectClose(dscale.Read(), dot, tolerance, "dscale");
  ExpectClose(dbias.Read(), sum, tolerance, "dbias");
  ASSERT_EQ(
      cudnnBatchNormalizationForwardInference(
          handle_, CUDNN_BATCHNORM_SPATIAL, &one, &zero, data_, device_x.data(), data_,
          device_y.data(), parameters_, device_scale.data(), device_bias.data(),
          saved_mean.data(), DeviceArray(kParameters, variance).data(), kEpsilon),
      CUDNN_STATUS_SUCCESS);
  ExpectClose(device_y.Read(), Rounded(GetParam(), y), tolerance, "y of inference");
}

INSTANTIATE_TEST_SUITE_P(Formats, ChannelsLastBatchNormTest,
                         ::testing::Values(NumberFormat::kFloat, NumberFormat::kHalf),
                         [](const auto& info) {
                           return info.param == NumberFormat::kHalf ? "Half" : "Float";
                         });

}  // namespace
}  // namespace test
}  // namespace cuda_emulation
