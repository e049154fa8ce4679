#ifndef CAFFE_TESTS_OPS_PROBLEMS_HPP_
#define CAFFE_TESTS_OPS_PROBLEMS_HPP_

#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "caffe/ops/convolution.hpp"

// The one list of convolutions that every engine is checked on and timed with.

namespace caffe {
namespace test {

struct ConvolutionCase {
  std::string name;
  ConvolutionProblem problem;

  /// Multiplications of one pass.
  std::int64_t Products() const {
    std::int64_t products = problem.src_channels() / problem.group;
    for (int dim : problem.dst) products *= dim;
    for (int dim : problem.kernel) products *= dim;
    return products;
  }
  friend void PrintTo(const ConvolutionCase& c, std::ostream* out) {
    *out << c.name << ": " << c.problem.Text();
  }
};

/// How a window moves; a single value stands for every spatial axis.
struct WindowSpec {
  std::vector<int> kernel;
  std::vector<int> stride = {1};
  std::vector<int> pad = {0};
  std::vector<int> dilation = {1};
};

inline ConvolutionCase MakeCase(std::string name, std::vector<int> src, int outputs,
                                WindowSpec window, int group = 1, bool bias = false) {
  ConvolutionProblem p;
  const std::size_t axes = src.size() - 2;
  const auto each_axis = [axes](const std::vector<int>& values) {
    return values.size() == 1 ? std::vector<int>(axes, values[0]) : values;
  };
  p.src = std::move(src);
  p.kernel = each_axis(window.kernel);
  p.stride = each_axis(window.stride);
  p.pad = each_axis(window.pad);
  p.dilation = each_axis(window.dilation);
  p.group = group;
  p.bias = bias;
  p.training = true;
  p.dst = {p.src[0], outputs};
  for (std::size_t i = 0; i < axes; ++i) {
    const int reach = p.dilation[i] * (p.kernel[i] - 1) + 1;
    p.dst.push_back((p.src[2 + i] + 2 * p.pad[i] - reach) / p.stride[i] + 1);
  }
  return {std::move(name), std::move(p)};
}

inline std::vector<ConvolutionCase> SmallConvolutions() {
  constexpr bool kBias = true;
  return {
      // Tiny and odd.
      MakeCase("one_value", {1, 1, 1, 1}, 1, {{1}}),
      MakeCase("one_position_3x3", {2, 16, 1, 1}, 16, {.kernel = {3}, .pad = {1}}),
      MakeCase("odd_channels", {3, 5, 7, 6}, 11, {.kernel = {3}, .pad = {1}}, 1, kBias),
      MakeCase("blocked_to_odd", {2, 16, 9, 7}, 10, {{3}}, 1, kBias),
      MakeCase("odd_to_blocked", {2, 10, 9, 7}, 32, {{3}}, 1, kBias),
      MakeCase("image_to_blocked", {2, 3, 17, 19}, 16,
               {.kernel = {7}, .stride = {2}, .pad = {3}}),
      MakeCase("kernel_is_image", {2, 16, 5, 4}, 32, {{5, 4}}, 1, kBias),
      MakeCase("batch1", {1, 32, 14, 14}, 48, {.kernel = {3}, .pad = {1}}, 1, kBias),
      MakeCase("batch5", {5, 16, 6, 6}, 16, {.kernel = {3}, .pad = {1}}),
      // Kernels.
      MakeCase("1x1", {2, 32, 8, 9}, 48, {{1}}, 1, kBias),
      MakeCase("1x1_padded", {2, 16, 5, 6}, 16, {.kernel = {1}, .pad = {1}}, 1, kBias),
      MakeCase("1x1_s2", {2, 32, 9, 8}, 16, {.kernel = {1}, .stride = {2}}),
      MakeCase("5x5", {2, 16, 11, 13}, 16, {.kernel = {5}, .pad = {2}}, 1, kBias),
      MakeCase("7x7", {1, 16, 12, 15}, 16, {.kernel = {7}, .pad = {3}}),
      MakeCase("1x3_not_square", {2, 16, 6, 10}, 16,
               {.kernel = {1, 3}, .stride = {1, 2}, .pad = {0, 1}}, 1, kBias),
      MakeCase("5x2_not_square", {2, 6, 12, 7}, 4,
               {.kernel = {5, 2}, .stride = {3, 1}, .pad = {2, 1}, .dilation = {1, 2}}),
      // Strides that skip input, and a floor that drops the last rows and columns.
      MakeCase("stride_beyond_kernel", {2, 16, 10, 11}, 16,
               {.kernel = {2}, .stride = {3}}),
      MakeCase("1x1_s3", {1, 8, 10, 8}, 8, {.kernel = {1}, .stride = {3}}, 1, kBias),
      MakeCase("overhang", {2, 16, 10, 10}, 32, {.kernel = {3}, .stride = {4}}, 1, kBias),
      MakeCase("overhang_padded", {2, 5, 8, 10}, 7,
               {.kernel = {3}, .stride = {3}, .pad = {1}}),
      MakeCase("pad_beyond_kernel", {1, 16, 4, 4}, 16, {.kernel = {3}, .pad = {4}}),
      // Dilation.
      MakeCase("dilated", {2, 16, 12, 11}, 16,
               {.kernel = {3}, .pad = {2}, .dilation = {2}}),
      MakeCase("dilated_s2", {1, 5, 13, 12}, 6,
               {.kernel = {3}, .stride = {2}, .pad = {2}, .dilation = {2}}, 1, kBias),
      MakeCase("s2_d2", {2, 16, 12, 11}, 16,
               {.kernel = {3}, .stride = {2}, .pad = {2}, .dilation = {2}}, 1, kBias),
      MakeCase("s3_d3", {1, 16, 13, 14}, 32,
               {.kernel = {3}, .stride = {3}, .pad = {3}, .dilation = {3}}),
      MakeCase("s2_d2_5x5_unpadded", {1, 3, 12, 13}, 4,
               {.kernel = {5}, .stride = {2}, .dilation = {2}}, 1, kBias),
      MakeCase("dilation3", {1, 16, 9, 9}, 16,
               {.kernel = {3}, .pad = {3}, .dilation = {3}}),
      // Groups.
      MakeCase("2_groups", {2, 32, 7, 9}, 32, {.kernel = {3}, .pad = {1}}, 2, kBias),
      MakeCase("2_odd_groups", {2, 6, 7, 5}, 10,
               {.kernel = {3}, .stride = {2}, .pad = {1}}, 2, kBias),
      MakeCase("depthwise", {2, 16, 9, 8}, 16, {.kernel = {3}, .pad = {1}}, 16),
      MakeCase("depthwise_multiplier", {2, 8, 9, 8}, 24, {.kernel = {3}, .pad = {1}}, 8,
               kBias),
      MakeCase("grouped_1x1", {2, 32, 5, 6}, 64, {{1}}, 4),
      MakeCase("groups_of_4", {2, 32, 9, 11}, 32, {.kernel = {3}, .pad = {1}}, 8, kBias),
      MakeCase("groups_of_4_s2", {2, 32, 9, 10}, 32,
               {.kernel = {3}, .stride = {2}, .pad = {1}}, 8, kBias),
      MakeCase("groups_of_4_d2", {1, 32, 10, 9}, 32,
               {.kernel = {3}, .pad = {2}, .dilation = {2}}, 8),
      MakeCase("groups_of_4_s2_d2", {2, 16, 11, 12}, 16,
               {.kernel = {3}, .stride = {2}, .pad = {2}, .dilation = {2}}, 4, kBias),
      MakeCase("groups_of_4_unpadded", {1, 16, 8, 21}, 16, {{3}}, 4, kBias),
      MakeCase("groups_of_4_1x3", {1, 16, 4, 17}, 16, {.kernel = {1, 3}, .pad = {0, 1}},
               4),
      MakeCase("groups_of_4_5x3", {1, 16, 7, 6}, 16, {.kernel = {5, 3}, .pad = {2, 1}}, 4,
               kBias),
      MakeCase("groups_of_4_narrow_d2", {2, 16, 6, 3}, 16,
               {.kernel = {3}, .pad = {2}, .dilation = {2}}, 4),
      MakeCase("groups_of_4_one_column", {2, 16, 5, 1}, 16, {.kernel = {3}, .pad = {1}},
               4),
      MakeCase("groups_of_4_one_position", {2, 16, 1, 1}, 16, {.kernel = {3}, .pad = {1}},
               4, kBias),
      MakeCase("groups_of_4_overhang", {1, 16, 10, 10}, 16,
               {.kernel = {3}, .stride = {2}}, 4),
      MakeCase("groups_of_4_wide", {1, 16, 3, 28}, 16, {.kernel = {3}, .pad = {1}}, 4),
      MakeCase("groups_of_8", {2, 32, 9, 11}, 32, {.kernel = {3}, .pad = {1}}, 4, kBias),
      MakeCase("groups_of_8_s2", {2, 32, 10, 9}, 32,
               {.kernel = {3}, .stride = {2}, .pad = {1}}, 4),
      MakeCase("groups_of_8_d2", {1, 16, 7, 15}, 16,
               {.kernel = {3}, .pad = {2}, .dilation = {2}}, 2, kBias),
      MakeCase("groups_of_8_s2_d2", {2, 16, 12, 11}, 16,
               {.kernel = {3}, .stride = {2}, .pad = {2}, .dilation = {2}}, 2),
      MakeCase("groups_of_16", {2, 64, 7, 8}, 64, {.kernel = {3}, .pad = {1}}, 4, kBias),
      MakeCase("groups_of_16_d2", {1, 32, 9, 8}, 32,
               {.kernel = {3}, .pad = {2}, .dilation = {2}}, 2),
      MakeCase("32_groups_of_4", {1, 128, 6, 5}, 128, {.kernel = {3}, .pad = {1}}, 32),
      MakeCase("32_groups_of_8", {1, 256, 5, 6}, 256, {.kernel = {3}, .pad = {1}}, 32,
               kBias),
      MakeCase("32_groups_of_16", {1, 512, 4, 5}, 512, {.kernel = {3}, .pad = {1}}, 32),
      // Other numbers of spatial axes.
      MakeCase("1d", {3, 16, 23}, 32, {.kernel = {5}, .stride = {2}, .pad = {2}}, 1,
               kBias),
      MakeCase("1d_odd_grouped", {2, 6, 19}, 9,
               {.kernel = {3}, .pad = {2}, .dilation = {2}}, 3),
      MakeCase("3d", {2, 16, 5, 6, 7}, 16, {.kernel = {3}, .pad = {1}}, 1, kBias),
      MakeCase("3d_odd", {1, 3, 6, 5, 7}, 4,
               {.kernel = {2, 3, 1}, .stride = {2, 1, 3}, .pad = {1, 0, 0}}, 1, kBias),
      MakeCase("3d_grouped", {1, 8, 4, 5, 6}, 8, {.kernel = {3}, .pad = {1}}, 4),
      MakeCase("4d", {1, 4, 3, 4, 3, 2}, 6, {.kernel = {2}}, 2, kBias),
  };
}

/// Every kind of convolution of SKNet-50 at 224 x 224.
inline std::vector<ConvolutionCase> SkNet50Convolutions() {
  const WindowSpec k1 = {{1}};
  const WindowSpec k1s2 = {.kernel = {1}, .stride = {2}};
  const WindowSpec k3 = {.kernel = {3}, .pad = {1}};
  const WindowSpec k3s2 = {.kernel = {3}, .stride = {2}, .pad = {1}};
  const WindowSpec k3d2 = {.kernel = {3}, .pad = {2}, .dilation = {2}};
  const WindowSpec k3s2d2 = {.kernel = {3}, .stride = {2}, .pad = {2}, .dilation = {2}};
  return {
      MakeCase("conv1", {1, 3, 224, 224}, 64, {.kernel = {7}, .stride = {2}, .pad = {3}}),
      MakeCase("conv2_reduce", {2, 64, 56, 56}, 128, k1),
      MakeCase("conv2_increase", {1, 128, 56, 56}, 256, k1),
      MakeCase("conv2_g32", {2, 128, 56, 56}, 128, k3, 32),
      MakeCase("conv2_g32d2", {2, 128, 56, 56}, 128, k3d2, 32),
      MakeCase("conv2_fc1", {2, 128, 1, 1}, 32, k1),
      MakeCase("conv2_fc2", {2, 32, 1, 1}, 256, k1),
      MakeCase("conv3_reduce", {1, 256, 56, 56}, 256, k1),
      MakeCase("conv3_g32_s2", {2, 256, 56, 56}, 256, k3s2, 32),
      MakeCase("conv3_g32d2_s2", {2, 256, 56, 56}, 256, k3s2d2, 32),
      MakeCase("conv3_proj_s2", {1, 256, 56, 56}, 512, k1s2),
      MakeCase("conv3_g32", {2, 256, 28, 28}, 256, k3, 32),
      MakeCase("conv3_g32d2", {2, 256, 28, 28}, 256, k3d2, 32),
      MakeCase("conv4_g32_s2", {1, 512, 28, 28}, 512, k3s2, 32),
      MakeCase("conv4_g32d2_s2", {1, 512, 28, 28}, 512, k3s2d2, 32),
      MakeCase("conv4_g32", {1, 512, 14, 14}, 512, k3, 32),
      MakeCase("conv4_g32d2", {1, 512, 14, 14}, 512, k3d2, 32),
      MakeCase("conv4_increase", {1, 512, 14, 14}, 1024, k1),
      MakeCase("conv5_g32", {1, 1024, 7, 7}, 1024, k3, 32),
      MakeCase("conv5_g32d2", {2, 1024, 7, 7}, 1024, k3d2, 32),
      MakeCase("conv5_reduce", {1, 2048, 7, 7}, 1024, k1),
      MakeCase("conv5_fc1", {1, 1024, 1, 1}, 64, k1),
      MakeCase("conv5_fc2", {1, 64, 1, 1}, 2048, k1),
  };
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_OPS_PROBLEMS_HPP_
