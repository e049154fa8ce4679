#include <cudnn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <ostream>
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

/// A convolution over two axes.
struct Case {
  const char* name;
  int n, groups, inputs, outputs;
  int h, w, kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w;
  cudnnTensorFormat_t format = CUDNN_TENSOR_NCHW;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  NumberFormat numbers = NumberFormat::kFloat;

  int out_h() const {
    return (h + 2 * pad_h - dilation_h * (kernel_h - 1) - 1) / stride_h + 1;
  }
  int out_w() const {
    return (w + 2 * pad_w - dilation_w * (kernel_w - 1) - 1) / stride_w + 1;
  }
  int channels() const { return groups * inputs; }
  int maps() const { return groups * outputs; }
  int taps() const { return inputs * kernel_h * kernel_w; }
  cudnnDataType_t type() const {
    switch (numbers) {
      case NumberFormat::kDouble:
        return CUDNN_DATA_DOUBLE;
      case NumberFormat::kHalf:
        return CUDNN_DATA_HALF;
      case NumberFormat::kBfloat16:
        return CUDNN_DATA_BFLOAT16;
      case NumberFormat::kFloat:
        break;
    }
    return CUDNN_DATA_FLOAT;
  }
  cudnnDataType_t compute_type() const {
    return numbers == NumberFormat::kDouble ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
  }

  /// Places of elements in memory.
  std::size_t Place(int a, int b, int i, int j, int size_b, int size_h,
                    int size_w) const {
    return format == CUDNN_TENSOR_NCHW ? ((a * size_b + b) * size_h + i) * size_w + j
                                       : ((a * size_h + i) * size_w + j) * size_b + b;
  }
  std::size_t X(int image, int c, int i, int j) const {
    return Place(image, c, i, j, channels(), h, w);
  }
  std::size_t W(int k, int c, int i, int j) const {
    return Place(k, c, i, j, inputs, kernel_h, kernel_w);
  }
  std::size_t Y(int image, int k, int i, int j) const {
    return Place(image, k, i, j, maps(), out_h(), out_w());
  }
  std::size_t x_count() const { return static_cast<std::size_t>(n) * channels() * h * w; }
  std::size_t w_count() const { return static_cast<std::size_t>(maps()) * taps(); }
  std::size_t y_count() const {
    return static_cast<std::size_t>(n) * maps() * out_h() * out_w();
  }

  /// Calls function(place in x, in w, in y) for every product of the convolution's sum.
  template <typename Function>
  void ForProducts(Function function) const {
    for (int image = 0; image < n; ++image) {
      for (int k = 0; k < maps(); ++k) {
        const int first = k / outputs * inputs;
        for (int i = 0; i < out_h(); ++i) {
          for (int j = 0; j < out_w(); ++j) {
            for (int c = 0; c < inputs; ++c) {
              for (int p = 0; p < kernel_h; ++p) {
                for (int q = 0; q < kernel_w; ++q) {
                  const int row = i * stride_h - pad_h + p * dilation_h;
                  const int column = j * stride_w - pad_w + q * dilation_w;
                  if (row < 0 || row >= h || column < 0 || column >= w) continue;
                  const bool turned = mode == CUDNN_CONVOLUTION;
                  function(X(image, first + c, row, column),
                           W(k, c, turned ? kernel_h - 1 - p : p,
                             turned ? kernel_w - 1 - q : q),
                           Y(image, k, i, j));
                }
              }
            }
          }
        }
      }
    }
  }
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.name; }

/// A case's descriptors.
struct Descriptors {
  TensorDescriptor x, y;
  FilterDescriptor w;
  ConvolutionDescriptor convolution;

  explicit Descriptors(const Case& c) {
    EXPECT_EQ(
        cudnnSetTensor4dDescriptor(x, c.format, c.type(), c.n, c.channels(), c.h, c.w),
        CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetTensor4dDescriptor(y, c.format, c.type(), c.n, c.maps(), c.out_h(),
                                         c.out_w()),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetFilter4dDescriptor(w, c.type(), c.format, c.maps(), c.inputs,
                                         c.kernel_h, c.kernel_w),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetConvolution2dDescriptor(convolution, c.pad_h, c.pad_w, c.stride_h,
                                              c.stride_w, c.dilation_h, c.dilation_w,
                                              c.mode, c.compute_type()),
              CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetConvolutionGroupCount(convolution, c.groups), CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(cudnnSetConvolutionMathType(convolution, CUDNN_FMA_MATH),
              CUDNN_STATUS_SUCCESS);
  }
};

/// Workspace for every algorithm of a pass that takes the problem.
template <typename Perf, typename Get>
std::vector<Perf> Suited(Get get) {
  std::vector<Perf> perfs(16);
  int count = 0;
  EXPECT_EQ(get(static_cast<int>(perfs.size()), &count, perfs.data()),
            CUDNN_STATUS_SUCCESS);
  perfs.resize(count);
  perfs.erase(std::remove_if(
                  perfs.begin(), perfs.end(),
                  [](const Perf& perf) { return perf.status != CUDNN_STATUS_SUCCESS; }),
              perfs.end());
  EXPECT_FALSE(perfs.empty());
  return perfs;
}

// Between 1 and the next number.
constexpr double kHalfEpsilon = 0x1p-10, kBfloat16Epsilon = 0x1p-7;

/// Results of 16 bits are compared after rounding, which float's error can move to the
/// neighbouring number.
caffe::test::Tolerance ToleranceFor(const Case& c, int terms) {
  switch (c.numbers) {
    case NumberFormat::kFloat:
      return ToleranceOf<float>(OpKind::kReduction, terms);
    case NumberFormat::kDouble:
      return ToleranceOf<double>(OpKind::kReduction, terms);
    default:
      const bool half = c.numbers == NumberFormat::kHalf;
      return {half ? kHalfEpsilon : kBfloat16Epsilon, 0};
  }
}

class ConvolutionTest : public ::testing::TestWithParam<Case> {
 protected:
  /// alpha and beta in the type that the case's tensors ask for.
  struct Scales {
    double doubles[2];
    float floats[2];
    bool is_double;
    const void* at(int i) const {
      return is_double ? static_cast<const void*>(&doubles[i])
                       : static_cast<const void*>(&floats[i]);
    }
  };
  Scales MakeScales(double alpha, double beta) const {
    return {{alpha, beta},
            {static_cast<float>(alpha), static_cast<float>(beta)},
            GetParam().numbers == NumberFormat::kDouble};
  }
  /// alpha * sums + beta * there, rounded.
  std::vector<double> Blended(double alpha, const std::vector<double>& sums, double beta,
                              const std::vector<double>& there) const {
    std::vector<double> result(sums.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
      result[i] = alpha * sums[i] + (beta == 0 ? 0 : beta * there[i]);
    }
    return Rounded(GetParam().numbers, result);
  }

  CudnnHandle handle_;
};

TEST_P(ConvolutionTest, Forward) {
  const Case& c = GetParam();
  const Descriptors d(c);
  const std::vector<double> x = Inputs(c.numbers, 1, c.x_count());
  const std::vector<double> w = Inputs(c.numbers, 2, c.w_count());
  std::vector<double> sums(c.y_count(), 0.0);
  c.ForProducts(
      [&](std::size_t i, std::size_t k, std::size_t o) { sums[o] += x[i] * w[k]; });
  const DeviceArray device_x(c.numbers, x), device_w(c.numbers, w);
  for (const auto& perf :
       Suited<cudnnConvolutionFwdAlgoPerf_t>([&](int room, int* count, auto* perfs) {
         return cudnnGetConvolutionForwardAlgorithm_v7(handle_, d.x, d.w, d.convolution,
                                                       d.y, room, count, perfs);
       })) {
    const DeviceArray workspace(NumberFormat::kHalf, Unset{(perf.memory + 1) / 2});
    for (const double beta : {0.0, 0.5}) {
      const std::vector<double> there =
          beta == 0 ? std::vector<double>(c.y_count(), std::nan(""))
                    : Inputs(c.numbers, 3, c.y_count());
      const DeviceArray y(c.numbers, there);
      const Scales scales = MakeScales(2, beta);
      ASSERT_EQ(cudnnConvolutionForward(handle_, scales.at(0), d.x, device_x.data(), d.w,
                                        device_w.data(), d.convolution, perf.algo,
                                        workspace.data(), workspace.bytes(), scales.at(1),
                                        d.y, y.data()),
                CUDNN_STATUS_SUCCESS);
      ExpectClose(y.Read(), Blended(2, sums, beta, there), ToleranceFor(c, c.taps()),
                  "y of algorithm " + std::to_string(perf.algo));
    }
  }
}

TEST_P(ConvolutionTest, BackwardData) {
  const Case& c = GetParam();
  const Descriptors d(c);
  const std::vector<double> dy = Inputs(c.numbers, 4, c.y_count());
  const std::vector<double> w = Inputs(c.numbers, 5, c.w_count());
  std::vector<double> sums(c.x_count(), 0.0);
  c.ForProducts(
      [&](std::size_t i, std::size_t k, std::size_t o) { sums[i] += dy[o] * w[k]; });
  const DeviceArray device_dy(c.numbers, dy), device_w(c.numbers, w);
  for (const auto& perf :
       Suited<cudnnConvolutionBwdDataAlgoPerf_t>([&](int room, int* count, auto* perfs) {
         return cudnnGetConvolutionBackwardDataAlgorithm_v7(
             handle_, d.w, d.y, d.convolution, d.x, room, count, perfs);
       })) {
    const DeviceArray workspace(NumberFormat::kHalf, Unset{(perf.memory + 1) / 2});
    const std::vector<double> there = Inputs(c.numbers, 6, c.x_count());
    const DeviceArray dx(c.numbers, there);
    const Scales scales = MakeScales(-1, 2);
    ASSERT_EQ(cudnnConvolutionBackwardData(handle_, scales.at(0), d.w, device_w.data(),
                                           d.y, device_dy.data(), d.convolution,
                                           perf.algo, workspace.data(), workspace.bytes(),
                                           scales.at(1), d.x, dx.data()),
              CUDNN_STATUS_SUCCESS);
    ExpectClose(dx.Read(), Blended(-1, sums, 2, there),
                ToleranceFor(c, c.outputs * c.kernel_h * c.kernel_w),
                "dx of algorithm " + std::to_string(perf.algo));
  }
}

TEST_P(ConvolutionTest, BackwardFilter) {
  const Case& c = GetParam();
  const Descriptors d(c);
  const std::vector<double> x = Inputs(c.numbers, 7, c.x_count());
  const std::vector<double> dy = Inputs(c.numbers, 8, c.y_count());
  std::vector<double> sums(c.w_count(), 0.0);
  c.ForProducts(
      [&](std::size_t i, std::size_t k, std::size_t o) { sums[k] += dy[o] * x[i]; });
  const DeviceArray device_x(c.numbers, x), device_dy(c.numbers, dy);
  for (const auto& perf : Suited<cudnnConvolutionBwdFilterAlgoPerf_t>(
           [&](int room, int* count, auto* perfs) {
             return cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                 handle_, d.x, d.y, d.convolution, d.w, room, count, perfs);
           })) {
    const DeviceArray workspace(NumberFormat::kHalf, Unset{(perf.memory + 1) / 2});
    const std::vector<double> there = Inputs(c.numbers, 9, c.w_count());
    const DeviceArray dw(c.numbers, there);
    const Scales scales = MakeScales(1, 1);
    ASSERT_EQ(cudnnConvolutionBackwardFilter(
                  handle_, scales.at(0), d.x, device_x.data(), d.y, device_dy.data(),
                  d.convolution, perf.algo, workspace.data(), workspace.bytes(),
                  scales.at(1), d.w, dw.data()),
              CUDNN_STATUS_SUCCESS);
    ExpectClose(dw.Read(), Blended(1, sums, 1, there),
                ToleranceFor(c, c.n * c.out_h() * c.out_w()),
                "dw of algorithm " + std::to_string(perf.algo));
  }
}

TEST_P(ConvolutionTest, BackwardBias) {
  const Case& c = GetParam();
  const Descriptors d(c);
  TensorDescriptor bias;
  ASSERT_EQ(cudnnSetTensor4dDescriptor(bias, c.format, c.type(), 1, c.maps(), 1, 1),
            CUDNN_STATUS_SUCCESS);
  const std::vector<double> dy = Inputs(c.numbers, 10, c.y_count());
  const std::vector<double> there = Inputs(c.numbers, 11, c.maps());
  std::vector<double> sums(c.maps(), 0.0);
  for (int image = 0; image < c.n; ++image) {
    for (int k = 0; k < c.maps(); ++k) {
      for (int i = 0; i < c.out_h(); ++i) {
        for (int j = 0; j < c.out_w(); ++j) sums[k] += dy[c.Y(image, k, i, j)];
      }
    }
  }
  const DeviceArray device_dy(c.numbers, dy), db(c.numbers, there);
  const Scales scales = MakeScales(0.5, 1);
  ASSERT_EQ(cudnnConvolutionBackwardBias(handle_, scales.at(0), d.y, device_dy.data(),
                                         scales.at(1), bias, db.data()),
            CUDNN_STATUS_SUCCESS);
  ExpectClose(db.Read(), Blended(0.5, sums, 1, there),
              ToleranceFor(c, c.n * c.out_h() * c.out_w()), "db");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ConvolutionTest,
    ::testing::Values(
        Case{"Plain", 2, 1, 3, 4, 6, 7, 3, 3, 1, 1, 1, 1, 1, 1},
        Case{"OneByOne", 2, 1, 5, 3, 4, 4, 1, 1, 0, 0, 1, 1, 1, 1},
        Case{"Asymmetric", 1, 1, 2, 3, 9, 11, 5, 2, 3, 0, 2, 3, 1, 2},
        Case{"StrideAboveWindow", 1, 1, 2, 2, 8, 9, 1, 2, 0, 0, 3, 4, 1, 1},
        Case{"Groups", 2, 4, 2, 3, 5, 5, 3, 3, 1, 1, 2, 2, 1, 1},
        Case{"Depthwise", 2, 6, 1, 1, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1},
        Case{"DilatedGroups", 2, 2, 3, 2, 8, 8, 3, 3, 2, 2, 1, 1, 2, 2},
        Case{"ChannelsLast", 2, 1, 3, 4, 6, 7, 3, 3, 1, 1, 1, 2, 1, 1, CUDNN_TENSOR_NHWC},
        Case{"ChannelsLastDilatedGroups", 2, 3, 2, 4, 8, 7, 3, 3, 2, 2, 1, 1, 2, 2,
             CUDNN_TENSOR_NHWC},
        Case{"Turned", 1, 2, 2, 3, 6, 5, 3, 2, 1, 1, 1, 1, 1, 1, CUDNN_TENSOR_NCHW,
             CUDNN_CONVOLUTION},
        Case{"TurnedChannelsLast", 1, 2, 2, 3, 6, 5, 3, 2, 1, 1, 1, 1, 1, 1,
             CUDNN_TENSOR_NHWC, CUDNN_CONVOLUTION},
        Case{"Double", 2, 2, 2, 2, 6, 5, 3, 3, 1, 1, 2, 1, 1, 1, CUDNN_TENSOR_NCHW,
             CUDNN_CROSS_CORRELATION, NumberFormat::kDouble},
        Case{"Half", 2, 2, 3, 2, 6, 5, 3, 3, 1, 1, 1, 1, 1, 1, CUDNN_TENSOR_NCHW,
             CUDNN_CROSS_CORRELATION, NumberFormat::kHalf},
        Case{"Bfloat16ChannelsLast", 2, 2, 3, 2, 6, 5, 3, 3, 1, 1, 2, 2, 1, 1,
             CUDNN_TENSOR_NHWC, CUDNN_CROSS_CORRELATION, NumberFormat::kBfloat16}),
    [](const auto& info) { return info.param.name; });

TEST(CudnnConvolutionTest, ThreeAxes) {
  const int n = 2, in = 2, out = 3, size[3] = {3, 4, 5}, window[3] = {2, 3, 1};
  const int pads[3] = {1, 0, 1}, strides[3] = {1, 2, 2}, dilations[3] = {2, 1, 1};
  const CudnnHandle handle;
  TensorDescriptor x, y;
  FilterDescriptor w;
  ConvolutionDescriptor convolution;
  const int x_sizes[] = {n, in, size[0], size[1], size[2]};
  const int w_sizes[] = {out, in, window[0], window[1], window[2]};
  int y_sizes[5];
  ASSERT_EQ(
      cudnnSetTensorNdDescriptorEx(x, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 5, x_sizes),
      CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(
      cudnnSetFilterNdDescriptor(w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 5, w_sizes),
      CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(cudnnSetConvolutionNdDescriptor(convolution, 3, pads, strides, dilations,
                                            CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
            CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(cudnnGetConvolutionNdForwardOutputDim(convolution, x, w, 5, y_sizes),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(std::vector<int>(y_sizes, y_sizes + 5), (std::vector<int>{n, out, 3, 1, 4}));
  ASSERT_EQ(
      cudnnSetTensorNdDescriptorEx(y, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 5, y_sizes),
      CUDNN_STATUS_SUCCESS);
  const std::vector<double> source = Inputs(NumberFormat::kFloat, 12, n * in * 60);
  const std::vector<double> filter = Inputs(NumberFormat::kFloat, 13, out * in * 6);
  std::vector<double> want;
  for (int image = 0; image < n; ++image) {
    for (int k = 0; k < out; ++k) {
      for (int i = 0; i < 3; ++i) {
        for (int l = 0; l < 4; ++l) {
          double sum = 0;
          for (int c = 0; c < in; ++c) {
            for (int p = 0; p < 2; ++p) {
              for (int q = 0; q < 3; ++q) {
                const int d = i - 1 + 2 * p, h = q, v = 2 * l - 1;
                if (d < 0 || d >= 3 || v < 0 || v >= 5) continue;
                sum += source[((image * in + c) * 3 + d) * 20 + h * 5 + v] *
                       filter[((k * in + c) * 2 + p) * 3 + q];
              }
            }
          }
          want.push_back(sum);
        }
      }
    }
  }
  const DeviceArray device_x(NumberFormat::kFloat, source);
  const DeviceArray device_w(NumberFormat::kFloat, filter);
  const DeviceArray device_y(NumberFormat::kFloat, Unset{want.size()});
  const float one = 1, zero = 0;
  ASSERT_EQ(cudnnConvolutionForward(handle, &one, x, device_x.data(), w, device_w.data(),
                                    convolution, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
                                    nullptr, 0, &zero, y, device_y.data()),
            CUDNN_STATUS_SUCCESS);
  ExpectClose(device_y.Read(), want, ToleranceOf<float>(OpKind::kReduction, 12), "y");
}

class OneConvolutionTest : public ::testing::Test {
 protected:
  static constexpr Case kPlain = {"plain", 1, 1, 2, 3, 5, 5, 3, 3, 1, 1, 1, 1, 1, 1};

  cudnnStatus_t Forward(const Descriptors& d, const Case& c,
                        cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                        std::size_t bytes) {
    const DeviceArray x(c.numbers, Inputs(c.numbers, 20, c.x_count()));
    const DeviceArray w(c.numbers, Inputs(c.numbers, 21, c.w_count()));
    const DeviceArray y(c.numbers, Unset{c.y_count()});
    const float one = 1, zero = 0;
    return cudnnConvolutionForward(handle_, &one, d.x, x.data(), d.w, w.data(),
                                   d.convolution, algorithm, workspace, bytes, &zero, d.y,
                                   y.data());
  }
  std::size_t ForwardWorkspace(const Descriptors& d,
                               cudnnConvolutionFwdAlgo_t algorithm) {
    std::size_t bytes = 0;
    EXPECT_EQ(cudnnGetConvolutionForwardWorkspaceSize(handle_, d.x, d.w, d.convolution,
                                                      d.y, algorithm, &bytes),
              CUDNN_STATUS_SUCCESS);
    return bytes;
  }

  CudnnHandle handle_;
};
constexpr Case OneConvolutionTest::kPlain;

TEST_F(OneConvolutionTest, TakesItsWorkspaceFromTheDeviceAndOverwritesIt) {
  const Descriptors d(kPlain);
  const auto algorithm = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  const std::size_t bytes = ForwardWorkspace(d, algorithm);
  ASSERT_GT(bytes, 0u);
  const DeviceArray workspace(NumberFormat::kFloat, std::vector<double>(bytes / 4, 1));
  EXPECT_EQ(Forward(d, kPlain, algorithm, workspace.data(), bytes), CUDNN_STATUS_SUCCESS);
  EXPECT_TRUE(std::isnan(workspace.Read().front()));
  EXPECT_TRUE(std::isnan(workspace.Read().back()));
  EXPECT_EQ(Forward(d, kPlain, algorithm, workspace.data(), bytes - 1),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(Forward(d, kPlain, algorithm, nullptr, bytes), CUDNN_STATUS_BAD_PARAM);
  std::vector<char> host(bytes);
  EXPECT_EQ(Forward(d, kPlain, algorithm, host.data(), bytes),
            CUDNN_STATUS_EXECUTION_FAILED);
}

TEST_F(OneConvolutionTest, AlgorithmsRefuseWhatTheReferenceSaysTheyRefuse) {
  const auto takes = [&](const Case& c, cudnnConvolutionFwdAlgo_t algorithm) {
    const Descriptors d(c);
    std::size_t bytes = 0;
    const cudnnStatus_t status = cudnnGetConvolutionForwardWorkspaceSize(
        handle_, d.x, d.w, d.convolution, d.y, algorithm, &bytes);
    const DeviceArray workspace(NumberFormat::kHalf, Unset{bytes / 2 + 1});
    EXPECT_EQ(Forward(d, c, algorithm, workspace.data(), workspace.bytes()), status);
    EXPECT_TRUE(status == CUDNN_STATUS_SUCCESS || status == CUDNN_STATUS_NOT_SUPPORTED);
    return status == CUDNN_STATUS_SUCCESS;
  };
  Case strided = kPlain, dilated = kPlain, last = kPlain, wide = kPlain;
  strided.stride_h = strided.stride_w = 2;
  dilated.dilation_h = dilated.dilation_w = 2;
  last.format = CUDNN_TENSOR_NHWC;
  wide.kernel_h = wide.kernel_w = 5;
  for (const Case& c : {kPlain, strided, dilated, last, wide}) {
    EXPECT_TRUE(takes(c, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM)) << c;
    EXPECT_TRUE(takes(c, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)) << c;
    EXPECT_FALSE(takes(c, CUDNN_CONVOLUTION_FWD_ALGO_DIRECT)) << c;
  }
  EXPECT_TRUE(takes(kPlain, CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD));
  EXPECT_TRUE(takes(kPlain, CUDNN_CONVOLUTION_FWD_ALGO_FFT));
  EXPECT_FALSE(takes(wide, CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD));
  EXPECT_TRUE(takes(wide, CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED));
  EXPECT_TRUE(takes(strided, CUDNN_CONVOLUTION_FWD_ALGO_GEMM));
  EXPECT_FALSE(takes(dilated, CUDNN_CONVOLUTION_FWD_ALGO_GEMM));
  for (const Case& c : {strided, dilated, last}) {
    EXPECT_FALSE(takes(c, CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD)) << c;
    EXPECT_FALSE(takes(c, CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED)) << c;
    EXPECT_FALSE(takes(c, CUDNN_CONVOLUTION_FWD_ALGO_FFT)) << c;
    EXPECT_FALSE(takes(c, CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING)) << c;
  }
}

TEST_F(OneConvolutionTest, ListsTheFastestFirstAndRefusalsLast) {
  Case strided = kPlain;
  strided.stride_h = 2;
  const Descriptors d(strided);
  cudnnConvolutionFwdAlgoPerf_t perfs[CUDNN_CONVOLUTION_FWD_ALGO_COUNT];
  int most = 0, count = 0;
  ASSERT_EQ(cudnnGetConvolutionForwardAlgorithmMaxCount(handle_, &most),
            CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(most, CUDNN_CONVOLUTION_FWD_ALGO_COUNT);
  ASSERT_EQ(cudnnFindConvolutionForwardAlgorithm(handle_, d.x, d.w, d.convolution, d.y,
                                                 most, &count, perfs),
            CUDNN_STATUS_SUCCESS);
  ASSERT_EQ(count, most);
  bool refused = false;
  for (int i = 0; i < count; ++i) {
    if (perfs[i].status == CUDNN_STATUS_SUCCESS) {
      EXPECT_FALSE(refused);
      EXPECT_GT(perfs[i].time, 0);
      EXPECT_EQ(perfs[i].memory, ForwardWorkspace(d, perfs[i].algo));
      EXPECT_GE(perfs[i].time, perfs[std::max(i - 1, 0)].time);
    } else {
      refused = true;
      EXPECT_EQ(perfs[i].status, CUDNN_STATUS_NOT_SUPPORTED);
    }
  }
  EXPECT_TRUE(refused);
  ASSERT_EQ(cudnnGetConvolutionForwardAlgorithm_v7(handle_, d.x, d.w, d.convolution, d.y,
                                                   1, &count, perfs),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(cudnnGetConvolutionForwardAlgorithm_v7(handle_, d.x, d.w, d.convolution, d.y,
                                                   0, &count, perfs),
            CUDNN_STATUS_BAD_PARAM);
}

TEST_F(OneConvolutionTest, FindingWithBuffersKeepsToTheWorkspaceAndOverwritesTheOutput) {
  const Case& c = kPlain;
  const Descriptors d(c);
  const DeviceArray x(c.numbers, Inputs(c.numbers, 30, c.x_count()));
  const DeviceArray dy(c.numbers, Inputs(c.numbers, 31, c.y_count()));
  const DeviceArray dw(c.numbers, std::vector<double>(c.w_count(), 1));
  cudnnConvolutionBwdFilterAlgoPerf_t perfs[CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT];
  int count = 0;
  ASSERT_EQ(cudnnFindConvolutionBackwardFilterAlgorithmEx(
                handle_, d.x, x.data(), d.y, dy.data(), d.convolution, d.w, dw.data(),
                CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT, &count, perfs, nullptr, 0),
            CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(perfs[0].algo, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0);
  int too_large = 0;
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(perfs[i].status == CUDNN_STATUS_SUCCESS, perfs[i].time > 0);
    EXPECT_TRUE(perfs[i].status != CUDNN_STATUS_SUCCESS || perfs[i].memory == 0);
    too_large += perfs[i].status == CUDNN_STATUS_ALLOC_FAILED;
  }
  EXPECT_GT(too_large, 0);
  for (const double value : dw.Read()) EXPECT_TRUE(std::isnan(value));
}

TEST_F(OneConvolutionTest, DescriptorsThatContradictEachOtherAreBad) {
  const auto status = [&](const Descriptors& d) {
    std::size_t bytes;
    return cudnnGetConvolutionForwardWorkspaceSize(
        handle_, d.x, d.w, d.convolution, d.y, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
        &bytes);
  };
  EXPECT_EQ(status(Descriptors(kPlain)), CUDNN_STATUS_SUCCESS);
  {
    const Descriptors d(kPlain);
    cudnnSetConvolutionGroupCount(d.convolution, 2);
    EXPECT_EQ(status(d), CUDNN_STATUS_BAD_PARAM) << "2 channels, 2 a group, 2 groups";
  }
  {
    const Descriptors d(kPlain);
    cudnnSetTensor4dDescriptor(d.y, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 3, 5, 4);
    EXPECT_EQ(status(d), CUDNN_STATUS_BAD_PARAM) << "y has another size";
  }
  {
    const Descriptors d(kPlain);
    cudnnSetFilter4dDescriptor(d.w, CUDNN_DATA_DOUBLE, CUDNN_TENSOR_NCHW, 3, 2, 3, 3);
    EXPECT_EQ(status(d), CUDNN_STATUS_BAD_PARAM) << "w has another type";
  }
  {
    const Descriptors d(kPlain);
    cudnnSetFilter4dDescriptor(d.w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, 3, 2, 3, 3);
    EXPECT_EQ(status(d), CUDNN_STATUS_NOT_SUPPORTED) << "an NHWC filter for NCHW";
  }
  {
    const Descriptors d(kPlain);
    cudnnSetConvolution2dDescriptor(d.convolution, 1, 1, 1, 1, 1, 1,
                                    CUDNN_CROSS_CORRELATION, CUDNN_DATA_DOUBLE);
    EXPECT_EQ(status(d), CUDNN_STATUS_NOT_SUPPORTED) << "float summed in double";
  }
  const Descriptors d(kPlain);
  EXPECT_EQ(cudnnSetConvolution2dDescriptor(d.convolution, -1, 0, 1, 1, 1, 1,
                                            CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnSetConvolution2dDescriptor(d.convolution, 0, 0, 0, 1, 1, 1,
                                            CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
            CUDNN_STATUS_BAD_PARAM);
}

TEST_F(OneConvolutionTest, FloatIsReducedToTf32UnlessOnlyFmaIsAllowed) {
  Case c = kPlain;
  c.inputs = c.outputs = c.h = c.w = c.kernel_h = c.kernel_w = 1;
  c.pad_h = c.pad_w = 0;
  const Descriptors d(c);
  const double fine = 1 + 0x1p-12;  // TF32 has no such number
  const DeviceArray x(c.numbers, {fine}), w(c.numbers, {1}), y(c.numbers, Unset{1});
  const DeviceArray workspace(c.numbers, Unset{1024});
  const auto result = [&](cudnnMathType_t math, cudnnConvolutionFwdAlgo_t algorithm) {
    EXPECT_EQ(cudnnSetConvolutionMathType(d.convolution, math), CUDNN_STATUS_SUCCESS);
    const float one = 1, zero = 0;
    EXPECT_EQ(cudnnConvolutionForward(handle_, &one, d.x, x.data(), d.w, w.data(),
                                      d.convolution, algorithm, workspace.data(),
                                      workspace.bytes(), &zero, d.y, y.data()),
              CUDNN_STATUS_SUCCESS);
    return y.Read().front();
  };
  const auto tensor_cores = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  EXPECT_EQ(result(CUDNN_DEFAULT_MATH, tensor_cores), 1);
  EXPECT_EQ(result(CUDNN_FMA_MATH, tensor_cores), fine);
  EXPECT_EQ(result(CUDNN_DEFAULT_MATH, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM), fine);
}

TEST_F(OneConvolutionTest, OnlyDeterministicAlgorithmsRepeatTheirResults) {
  const Case c = {"large", 2, 1, 8, 8, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1};
  const Descriptors d(c);
  const DeviceArray x(c.numbers, Inputs(c.numbers, 40, c.x_count()));
  const DeviceArray dy(c.numbers, Inputs(c.numbers, 41, c.y_count()));
  const DeviceArray dw(c.numbers, Unset{c.w_count()});
  const float one = 1, zero = 0;
  for (const auto& perf : Suited<cudnnConvolutionBwdFilterAlgoPerf_t>(
           [&](int room, int* count, auto* perfs) {
             return cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                 handle_, d.x, d.y, d.convolution, d.w, room, count, perfs);
           })) {
    const DeviceArray workspace(NumberFormat::kHalf, Unset{(perf.memory + 1) / 2});
    const auto run = [&] {
      EXPECT_EQ(
          cudnnConvolutionBackwardFilter(handle_, &one, d.x, x.data(), d.y, dy.data(),
                                         d.convolution, perf.algo, workspace.data(),
                                         workspace.bytes(), &zero, d.w, dw.data()),
          CUDNN_STATUS_SUCCESS);
      return dw.Read();
    };
    const std::vector<double> first = run();
    EXPECT_EQ(run() == first, perf.determinism == CUDNN_DETERMINISTIC) << perf.algo;
  }
}

TEST_F(OneConvolutionTest, BiasAndActivationFollowTheConvolution) {
  const Case& c = kPlain;
  const Descriptors d(c);
  TensorDescriptor bias_desc;
  ActivationDescriptor activation;
  ASSERT_EQ(cudnnSetTensor4dDescriptor(bias_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1,
                                       c.maps(), 1, 1),
            CUDNN_STATUS_SUCCESS);
  const std::vector<double> x = Inputs(c.numbers, 50, c.x_count());
  const std::vector<double> w = Inputs(c.numbers, 51, c.w_count());
  const std::vector<double> bias = Inputs(c.numbers, 52, c.maps());
  const std::vector<double> z = Inputs(c.numbers, 53, c.y_count());
  std::vector<double> sums(c.y_count(), 0.0);
  c.ForProducts(
      [&](std::size_t i, std::size_t k, std::size_t o) { sums[o] += x[i] * w[k]; });
  const DeviceArray device_x(c.numbers, x), device_w(c.numbers, w);
  const DeviceArray device_bias(c.numbers, bias), workspace(c.numbers, Unset{4096});
  const auto run = [&](cudnnActivationMode_t mode, cudnnConvolutionFwdAlgo_t algorithm,
                       float scale_of_z, const DeviceArray& there,
                       cudnnNanPropagation_t nan = CUDNN_NOT_PROPAGATE_NAN) {
    EXPECT_EQ(cudnnSetActivationDescriptor(activation, mode, nan, 0),
              CUDNN_STATUS_SUCCESS);
    const float two = 2;
    return cudnnConvolutionBiasActivationForward(
        handle_, &two, d.x, device_x.data(), d.w, device_w.data(), d.convolution,
        algorithm, workspace.data(), workspace.bytes(), &scale_of_z, d.y, there.data(),
        bias_desc, device_bias.data(), activation, d.y, there.data());
  };
  for (const bool rectified : {false, true}) {
    for (const float scale_of_z : {0.0f, 3.0f}) {
      const DeviceArray y(
          c.numbers, scale_of_z == 0 ? std::vector<double>(z.size(), std::nan("")) : z);
      std::vector<double> want(sums.size());
      for (int k = 0; k < c.maps(); ++k) {
        for (int i = 0; i < c.out_h(); ++i) {
          for (int j = 0; j < c.out_w(); ++j) {
            const std::size_t o = c.Y(0, k, i, j);
            want[o] = 2 * sums[o] + scale_of_z * z[o] + bias[k];
            if (rectified) want[o] = std::max(want[o], 0.0);
          }
        }
      }
      EXPECT_EQ(run(rectified ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY,
                    CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, scale_of_z, y),
                CUDNN_STATUS_SUCCESS);
      ExpectClose(y.Read(), want, ToleranceOf<float>(OpKind::kReduction, c.taps()), "y");
    }
  }
  const DeviceArray y(c.numbers, z);
  EXPECT_EQ(
      run(CUDNN_ACTIVATION_IDENTITY, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, 1, y),
      CUDNN_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(
      run(CUDNN_ACTIVATION_TANH, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, 1, y),
      CUDNN_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(run(CUDNN_ACTIVATION_RELU, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                1, y, CUDNN_PROPAGATE_NAN),
            CUDNN_STATUS_NOT_SUPPORTED);
}

}  // namespace
}  // namespace test
}  // namespace cuda_emulation
