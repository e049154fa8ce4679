#include "caffe/layers/deconv_layer.hpp"

#include <memory>
#include <string>
#include <vector>

#include "gradient_checker.hpp"
#include "layer_test.hpp"
#include "ops/problems.hpp"
#include "ops/reference_convolution.hpp"

namespace caffe {
namespace test {
namespace {

std::string Deconvolution(const std::string& param) {
  return "name: 'd' type: 'Deconvolution' convolution_param { "
         "weight_filler { type: 'gaussian' std: 0.5 } bias_filler { type: 'gaussian' } " +
         param + " }";
}

// A deconvolution and the convolution whose transpose it is: from its top to its bottom.
struct LayerCase {
  std::string param;
  ConvolutionCase transposed;
  bool bias = true;
};

std::vector<LayerCase> LayerCases() {
  return {
      {"num_output: 4 kernel_size: 3", MakeCase("plain", {2, 4, 6, 5}, 3, {{3}})},
      {"num_output: 2 kernel_size: 3 stride: 2 pad: 1 bias_term: false",
       MakeCase("strided", {2, 2, 7, 5}, 3, {.kernel = {3}, .stride = {2}, .pad = {1}}),
       false},
      {"num_output: 6 kernel_size: 2 stride: 2 group: 3",
       MakeCase("grouped", {2, 6, 4, 6}, 3, {.kernel = {2}, .stride = {2}}, 3)},
      {"num_output: 2 kernel_size: 3 dilation: 2 group: 2",
       MakeCase("dilated", {1, 2, 7, 6}, 4, {.kernel = {3}, .dilation = {2}}, 2)},
      {"num_output: 3 kernel_size: 1", MakeCase("1x1", {2, 3, 3, 3}, 4, {{1}})},
      {"num_output: 2 kernel_size: 2 stride: 3",
       MakeCase("gaps", {1, 2, 8, 5}, 2, {.kernel = {2}, .stride = {3}})},
      {"num_output: 2 kernel_size: 3 stride: 2",
       MakeCase("1d", {2, 2, 9}, 3, {.kernel = {3}, .stride = {2}})},
      {"num_output: 4 kernel_size: 2 group: 2",
       MakeCase("3d", {1, 4, 3, 4, 3}, 2, {{2}}, 2)},
  };
}

TEST(DeconvolutionLayerTest, ForwardAndBackwardAgreeWithTheDefinition) {
  for (const LayerCase& c : LayerCases()) {
    SCOPED_TRACE(c.param);
    const ConvolutionProblem& p = c.transposed.problem;
    LayerRun<double> run(Deconvolution(c.param), {p.dst});
    run.Forward();
    ASSERT_EQ(run.top[0]->shape(), p.src);
    ASSERT_EQ(run.layer->blobs()[0]->shape(), p.WeightsShape());
    run.Backward();
    // Forward is that convolution's gradient, and backward the convolution.
    const Doubles weights = Values(*run.layer->blobs()[0]);
    ConvolutionResults want =
        ReferenceConvolution(p, run.TopDiff(), weights, {}, run.Bottom(0));
    Doubles db(p.src[1], 0);
    const int spatial = run.top[0]->count(2);
    const Doubles diff = run.TopDiff();
    for (std::size_t i = 0; i < diff.size() && c.bias; ++i) {
      const std::size_t k = i / spatial % p.src[1];
      want.dx[i] += Values(*run.layer->blobs()[1])[k];
      db[k] += diff[i];
    }
    const std::int64_t terms = run.layer->blobs()[0]->count() + run.top[0]->count();
    const Tolerance tolerance = ToleranceOf<double>(OpKind::kReduction, terms);
    ExpectClose(run.Top(), want.dx, tolerance, "top");
    ExpectClose(run.BottomDiff(0), want.y, tolerance, "dx");
    ExpectClose(Values(*run.layer->blobs()[0], Half::kDiff), want.dw, tolerance, "dw");
    ASSERT_EQ(run.layer->blobs().size(), c.bias ? 2u : 1u);
    if (c.bias)
      ExpectClose(Values(*run.layer->blobs()[1], Half::kDiff), db, tolerance, "db");
  }
}

TEST(DeconvolutionLayerTest, Float) {
  for (const LayerCase& c : LayerCases()) {
    const ConvolutionProblem& p = c.transposed.problem;
    ExpectFloatMatchesDouble(Deconvolution(c.param), {p.dst}, OpKind::kReduction,
                             Product(p.WeightsShape()) + Product(p.src));
  }
  ExpectFloatMatchesDouble(
      Deconvolution("num_output: 32 kernel_size: 4 stride: 2 pad: 1"), {{2, 16, 7, 5}},
      OpKind::kReduction, 16 * 16);
}

TEST(DeconvolutionLayerTest, Gradient) {
  for (const LayerCase& c : LayerCases()) {
    SCOPED_TRACE(c.param);
    LayerRun<double> run(Deconvolution(c.param), {c.transposed.problem.dst});
    GradientChecker checker;
    checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
    EXPECT_GT(checker.compared(), 0);
  }
}

TEST(DeconvolutionLayerTest, PackedInput) {
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 2 * 14 * 10;
  options.stays_packed = false;  // the bias is added to the plain output
  ExpectPackedMatchesPlain(
      Deconvolution("num_output: 16 kernel_size: 4 stride: 2 pad: 1"), {{2, 32, 7, 5}},
      options);
  ExpectPackedMatchesPlain(
      Deconvolution("num_output: 16 kernel_size: 3 pad: 1 group: 4 bias_term: false"),
      {{2, 16, 7, 5}}, options);
}

// A bilinear filler with stride 2 doubles an image: a constant stays constant inside.
TEST(DeconvolutionLayerTest, BilinearUpsampling) {
  LayerRun<double> run(
      "name: 'up' type: 'Deconvolution' convolution_param { num_output: 3 group: 3 "
      "kernel_size: 4 stride: 2 pad: 1 bias_term: false weight_filler { type: 'bilinear' "
      "} }",
      {{1, 3, 4, 5}});
  FillWith(run.bottom[0], Half::kData, [](int i) { return 1 + i / 20; });
  run.Forward();
  ASSERT_EQ(run.top[0]->shape(), std::vector<int>({1, 3, 8, 10}));
  for (int c = 0; c < 3; ++c) {
    for (int h = 1; h < 7; ++h) {
      for (int w = 1; w < 9; ++w) EXPECT_EQ(run.top[0]->data_at(0, c, h, w), 1 + c);
    }
  }
}

TEST(DeconvolutionLayerTest, BadInput) {
  const auto fails = [](const std::string& param, const std::vector<int>& shape,
                        const std::vector<std::string>& parts) {
    ExpectLayerError(Deconvolution(param), {shape}, 1, parts);
  };
  fails("num_output: 4 kernel_size: 3 group: 2", {1, 3, 4, 4},
        {"3 channels", "group (2)"});
  fails("num_output: 3 kernel_size: 3 group: 2", {1, 4, 4, 4}, {"num_output is 3"});
  fails("num_output: 2 kernel_size: 3 pad: 4", {1, 3, 4, 4},
        {"(1, 3, 4, 4)", "spatial axis 0"});
  fails("num_output: 1 kernel_size: 1 stride: 2000000000", {1, 1, 8}, {"(1, 1, 8)"});
}

}  // namespace
}  // namespace test
}  // namespace caffe
