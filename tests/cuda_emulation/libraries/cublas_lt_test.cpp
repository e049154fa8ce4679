#include <cublasLt.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "device_array.h"
#include "tolerance.hpp"

namespace cuda_emulation {
namespace test {
namespace {

using caffe::test::ExpectClose;
using caffe::test::OpKind;
using caffe::test::ToleranceOf;

/// A matrix of a case: logical sizes before its operation, and how it lies.
struct Layout {
  int rows, columns;
  cublasLtOrder_t order;
  int leading;

  std::size_t Place(int i, int j) const {
    return order == CUBLASLT_ORDER_COL ? i + static_cast<std::size_t>(j) * leading
                                       : j + static_cast<std::size_t>(i) * leading;
  }
  std::size_t count() const {
    return static_cast<std::size_t>(leading) *
           (order == CUBLASLT_ORDER_COL ? columns : rows);
  }
};

class CublasLtTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cublasLtCreate(&handle_), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cublasLtMatmulPreferenceCreate(&preference_), CUBLAS_STATUS_SUCCESS);
  }
  void TearDown() override {
    EXPECT_EQ(cublasLtMatmulPreferenceDestroy(preference_), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtDestroy(handle_), CUBLAS_STATUS_SUCCESS);
  }

  template <typename T>
  static void Set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                  T value) {
    EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
  cublasLtMatrixLayout_t Make(cudaDataType type, const Layout& layout, int batch = 1,
                              std::int64_t stride = 0) {
    cublasLtMatrixLayout_t made = nullptr;
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&made, type, layout.rows, layout.columns,
                                         layout.leading),
              CUBLAS_STATUS_SUCCESS);
    const std::int32_t order = layout.order;
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_ORDER, &order,
                                               sizeof order),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                               &batch, sizeof batch),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(
        cublasLtMatrixLayoutSetAttribute(
            made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
        CUBLAS_STATUS_SUCCESS);
    return made;
  }
  void SetMostWorkspace(std::uint64_t bytes) {
    EXPECT_EQ(
        cublasLtMatmulPreferenceSetAttribute(
            preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes),
        CUBLAS_STATUS_SUCCESS);
  }

  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
};

struct Format {
  cudaDataType type;
  NumberFormat numbers;
  cublasComputeType_t compute;
  cudaDataType scale;
};

TEST_F(CublasLtTest, EveryEpilogueOfEveryFormat) {
  const std::vector<Format> formats = {
      {CUDA_R_32F, NumberFormat::kFloat, CUBLAS_COMPUTE_32F, CUDA_R_32F},
      {CUDA_R_16F, NumberFormat::kHalf, CUBLAS_COMPUTE_32F, CUDA_R_32F},
      {CUDA_R_16BF, NumberFormat::kBfloat16, CUBLAS_COMPUTE_32F, CUDA_R_32F}};
  const int m = 5, n = 4, k = 6;
  for (const Format& format : formats) {
    for (const cublasLtEpilogue_t epilogue :
         {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_BIAS,
          CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_BGRADA,
          CUBLASLT_EPILOGUE_BGRADB}) {
      // A is turned over, B lies by rows.
      const Layout a = {k, m, CUBLASLT_ORDER_COL, 8}, b = {k, n, CUBLASLT_ORDER_ROW, 8},
                   c = {m, n, CUBLASLT_ORDER_COL, 8};
      const std::vector<double> a_values = Inputs(format.numbers, 1, a.count());
      const std::vector<double> b_values = Inputs(format.numbers, 2, b.count());
      const std::vector<double> c_values = Inputs(format.numbers, 3, c.count());
      const bool sums_b = epilogue == CUBLASLT_EPILOGUE_BGRADB;
      std::vector<double> bias = Inputs(format.numbers, 4, sums_b ? n : m);
      std::vector<double> want = c_values;
      const std::vector<double> given_bias = bias;
      for (int i = 0; i < m; ++i) {
        for (int j = 0; j < n; ++j) {
          double sum = 0;
          for (int p = 0; p < k; ++p) {
            sum += a_values[a.Place(p, i)] * b_values[b.Place(p, j)];
          }
          double value = 2 * sum - c_values[c.Place(i, j)];
          if (epilogue & CUBLASLT_EPILOGUE_BIAS) value += bias[i];
          if (epilogue & CUBLASLT_EPILOGUE_RELU) value = std::max(value, 0.0);
          want[c.Place(i, j)] = value;
        }
      }
      if (epilogue >= CUBLASLT_EPILOGUE_BGRADA) {
        std::fill(bias.begin(), bias.end(), 0);
        for (std::size_t i = 0; i < bias.size(); ++i) {
          for (int p = 0; p < k; ++p) {
            bias[i] += sums_b ? b_values[b.Place(p, static_cast<int>(i))]
                              : a_values[a.Place(p, static_cast<int>(i))];
          }
        }
      }

      cublasLtMatmulDesc_t desc = nullptr;
      ASSERT_EQ(cublasLtMatmulDescCreate(&desc, format.compute, format.scale),
                CUBLAS_STATUS_SUCCESS);
      const DeviceArray device_a(format.numbers, a_values),
          device_b(format.numbers, b_values), device_c(format.numbers, c_values),
          device_bias(format.numbers, given_bias);
      Set(desc, CUBLASLT_MATMUL_DESC_TRANSA, static_cast<std::int32_t>(CUBLAS_OP_T));
      Set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(epilogue));
      Set(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, device_bias.data());
      Set(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
          static_cast<std::int32_t>(format.type));
      const cublasLtMatrixLayout_t a_layout = Make(format.type, a),
                                   b_layout = Make(format.type, b),
                                   c_layout = Make(format.type, c);
      SetMostWorkspace(1 << 20);
      cublasLtMatmulHeuristicResult_t results[4];
      int count = 0;
      ASSERT_EQ(
          cublasLtMatmulAlgoGetHeuristic(handle_, desc, a_layout, b_layout, c_layout,
                                         c_layout, preference_, 4, results, &count),
          CUBLAS_STATUS_SUCCESS);
      ASSERT_GE(count, 1);
      const DeviceArray workspace(NumberFormat::kFloat, Unset{1 << 18});
      const float alpha = 2, beta = -1;
      ASSERT_EQ(cublasLtMatmul(handle_, desc, &alpha, device_a.data(), a_layout,
                               device_b.data(), b_layout, &beta, device_c.data(),
                               c_layout, device_c.data(), c_layout, &results[0].algo,
                               workspace.data(), workspace.bytes(), nullptr),
                CUBLAS_STATUS_SUCCESS);
      const bool is_float = format.numbers == NumberFormat::kFloat;
      const auto tolerance =
          ToleranceOf<float>(is_float ? OpKind::kReduction : OpKind::kElementwise, k);
      const std::string what = "epilogue " + std::to_string(epilogue);
      ExpectClose(device_c.Read(), Rounded(format.numbers, want), tolerance, what);
      ExpectClose(device_bias.Read(), Rounded(format.numbers, bias), tolerance,
                  "bias of " + what);
      for (const cublasLtMatrixLayout_t layout : {a_layout, b_layout, c_layout}) {
        cublasLtMatrixLayoutDestroy(layout);
      }
      cublasLtMatmulDescDestroy(desc);
    }
  }
}

TEST_F(CublasLtTest, BatchesOfDouble) {
  const int m = 2, n = 3, k = 2, batch = 2;
  const Layout a = {m, k, CUBLASLT_ORDER_COL, m}, b = {k, n, CUBLASLT_ORDER_COL, k},
               d = {m, n, CUBLASLT_ORDER_COL, m};
  const std::vector<double> a_values = Inputs(NumberFormat::kDouble, 5, 2 * m * k);
  const std::vector<double> b_values = Inputs(NumberFormat::kDouble, 6, k * n);
  std::vector<double> want(batch * m * n, 0.0);
  for (int e = 0; e < batch; ++e) {
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        for (int p = 0; p < k; ++p) {
          want[e * m * n + d.Place(i, j)] +=
              a_values[e * m * k + a.Place(i, p)] * b_values[b.Place(p, j)];
        }
      }
    }
  }
  cublasLtMatmulDesc_t desc = nullptr;
  ASSERT_EQ(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_64F, CUDA_R_64F),
            CUBLAS_STATUS_SUCCESS);
  const cublasLtMatrixLayout_t a_layout = Make(CUDA_R_64F, a, batch, m * k),
                               b_layout = Make(CUDA_R_64F, b, batch, 0),
                               d_layout = Make(CUDA_R_64F, d, batch, m * n);
  const DeviceArray device_a(NumberFormat::kDouble, a_values),
      device_b(NumberFormat::kDouble, b_values),
      device_d(NumberFormat::kDouble, Unset{want.size()});
  const double one = 1, zero = 0;
  EXPECT_EQ(cublasLtMatmul(handle_, desc, &one, device_a.data(), a_layout,
                           device_b.data(), b_layout, &zero, device_d.data(), d_layout,
                           device_d.data(), d_layout, nullptr, nullptr, 0, nullptr),
            CUBLAS_STATUS_SUCCESS);
  ExpectClose(device_d.Read(), want, ToleranceOf<double>(OpKind::kReduction, k), "D");
  // An epilogue of double is not there.
  Set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE,
      static_cast<std::uint32_t>(CUBLASLT_EPILOGUE_RELU));
  EXPECT_EQ(cublasLtMatmul(handle_, desc, &one, device_a.data(), a_layout,
                           device_b.data(), b_layout, &zero, device_d.data(), d_layout,
                           device_d.data(), d_layout, nullptr, nullptr, 0, nullptr),
            CUBLAS_STATUS_NOT_SUPPORTED);
  for (const cublasLtMatrixLayout_t layout : {a_layout, b_layout, d_layout}) {
    cublasLtMatrixLayoutDestroy(layout);
  }
  cublasLtMatmulDescDestroy(desc);
}

TEST_F(CublasLtTest, HeuristicsKeepToWorkspaceAndAlignment) {
  const Layout square = {4, 4, CUBLASLT_ORDER_COL, 4};
  const cublasLtMatrixLayout_t layout = Make(CUDA_R_32F, square);
  cublasLtMatmulDesc_t desc = nullptr;
  ASSERT_EQ(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F),
            CUBLAS_STATUS_SUCCESS);
  cublasLtMatmulHeuristicResult_t results[4];
  const auto count = [&] {
    int found = 0;
    EXPECT_EQ(cublasLtMatmulAlgoGetHeuristic(handle_, desc, layout, layout, layout,
                                             layout, preference_, 4, results, &found),
              CUBLAS_STATUS_SUCCESS);
    return found;
  };
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(results[0].workspaceSize, 0u);
  SetMostWorkspace(1 << 16);
  ASSERT_EQ(count(), 2);
  const cublasLtMatmulHeuristicResult_t fastest = results[0];
  EXPECT_GT(fastest.workspaceSize, 0u);
  const DeviceArray matrices(NumberFormat::kFloat, Unset{64}),
      workspace(NumberFormat::kFloat, Unset{256});
  const float one = 1, zero = 0;
  const auto multiply = [&](const float* from, void* space, std::size_t bytes) {
    return cublasLtMatmul(handle_, desc, &one, from, layout, from, layout, &zero,
                          matrices.data(), layout, matrices.data(), layout, &fastest.algo,
                          space, bytes, nullptr);
  };
  const float* const aligned = matrices.as<float>();
  EXPECT_EQ(multiply(aligned, workspace.data(), fastest.workspaceSize),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(aligned, workspace.data(), fastest.workspaceSize - 1),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(multiply(aligned, workspace.as<float>() + 4, fastest.workspaceSize),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(multiply(aligned + 1, workspace.data(), fastest.workspaceSize),
            CUBLAS_STATUS_INVALID_VALUE);
  const std::uint32_t four = 4;
  EXPECT_EQ(
      cublasLtMatmulPreferenceSetAttribute(
          preference_, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &four, sizeof four),
      CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(count(), 1);
  cublasLtMatrixLayoutDestroy(layout);
  cublasLtMatmulDescDestroy(desc);
}

TEST_F(CublasLtTest, RefusesAttributesOfAnotherSizeAndMatricesThatDoNotFit) {
  cublasLtMatmulDesc_t desc = nullptr;
  ASSERT_EQ(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F),
            CUBLAS_STATUS_SUCCESS);
  const std::int64_t wide = CUBLAS_OP_T;
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &wide,
                                           sizeof wide),
            CUBLAS_STATUS_INVALID_VALUE);
  std::int32_t operation = -1;
  std::size_t written = 0;
  EXPECT_EQ(cublasLtMatmulDescGetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &operation,
                                           sizeof operation, &written),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(operation, CUBLAS_OP_N);
  EXPECT_EQ(written, sizeof operation);
  const cublasLtMatrixLayout_t square = Make(CUDA_R_32F, {2, 2, CUBLASLT_ORDER_COL, 2});
  const cublasLtMatrixLayout_t tall = Make(CUDA_R_32F, {3, 2, CUBLASLT_ORDER_COL, 3});
  const DeviceArray data(NumberFormat::kFloat, Unset{16});
  const float one = 1;
  EXPECT_EQ(cublasLtMatmul(handle_, desc, &one, data.data(), square, data.data(), tall,
                           &one, data.data(), square, data.data(), square, nullptr,
                           nullptr, 0, nullptr),
            CUBLAS_STATUS_INVALID_VALUE);
  float host[4] = {};
  EXPECT_EQ(cublasLtMatmul(handle_, desc, &one, data.data(), square, host, square, &one,
                           data.data(), square, data.data(), square, nullptr, nullptr, 0,
                           nullptr),
            CUBLAS_STATUS_EXECUTION_FAILED);
  cublasLtMatrixLayoutDestroy(square);
  cublasLtMatrixLayoutDestroy(tall);
  cublasLtMatmulDescDestroy(desc);
}

TEST_F(CublasLtTest, AHandleOfCublasWillDo) {
  cublasHandle_t blas = nullptr;
  ASSERT_EQ(cublasCreate(&blas), CUBLAS_STATUS_SUCCESS);
  cublasLtMatmulDesc_t desc = nullptr;
  ASSERT_EQ(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F),
            CUBLAS_STATUS_SUCCESS);
  const cublasLtMatrixLayout_t layout = Make(CUDA_R_32F, {1, 1, CUBLASLT_ORDER_COL, 1});
  const DeviceArray a(NumberFormat::kFloat, {3}), d(NumberFormat::kFloat, Unset{1});
  const float one = 1, zero = 0;
  EXPECT_EQ(cublasLtMatmul(reinterpret_cast<cublasLtHandle_t>(blas), desc, &one, a.data(),
                           layout, a.data(), layout, &zero, d.data(), layout, d.data(),
                           layout, nullptr, nullptr, 0, nullptr),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(d.Read().front(), 9);
  cublasLtMatrixLayoutDestroy(layout);
  cublasLtMatmulDescDestroy(desc);
  cublasDestroy(blas);
}

}  // namespace
}  // namespace test
}  // namespace cuda_emulation
