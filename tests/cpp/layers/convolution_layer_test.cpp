#include "caffe/layers/conv_layer.hpp"

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

std::string Convolution(const std::string& param) {
  return "name: 'c' type: 'Convolution' convolution_param { "
         "weight_filler { type: 'gaussian' std: 0.5 } bias_filler { type: 'gaussian' } " +
         param + " }";
}

// The same convolution as prototxt and as a problem.
struct LayerCase {
  std::string param;
  ConvolutionCase c;
};

std::vector<LayerCase> LayerCases() {
  return {
      {"num_output: 4 kernel_size: 3",
       MakeCase("plain", {2, 3, 6, 4}, 4, {{3}}, 1, true)},
      {"num_output: 4 kernel_size: 3 stride: 2 pad: 1 bias_term: false",
       MakeCase("strided", {2, 3, 6, 5}, 4, {.kernel = {3}, .stride = {2}, .pad = {1}})},
      {"num_output: 6 kernel_size: 3 pad: 1 group: 3",
       MakeCase("grouped", {2, 3, 5, 4}, 6, {.kernel = {3}, .pad = {1}}, 3, true)},
      {"num_output: 2 kernel_size: 3 dilation: 2",
       MakeCase("dilated", {1, 2, 8, 7}, 2, {.kernel = {3}, .dilation = {2}}, 1, true)},
      {"num_output: 3 kernel_size: 1", MakeCase("1x1", {2, 4, 3, 3}, 3, {{1}}, 1, true)},
      {"num_output: 2 kernel_size: 2 stride: 3",
       MakeCase("skipping", {1, 2, 7, 8}, 2, {.kernel = {2}, .stride = {3}}, 1, true)},
      {"num_output: 2 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 1",
       MakeCase("h_and_w", {1, 2, 6, 4}, 2,
                {.kernel = {3, 2}, .stride = {2, 1}, .pad = {0, 1}}, 1, true)},
      {"num_output: 2 kernel_size: 3 kernel_size: 1 stride: 1 stride: 2 pad: 1 pad: 0 "
       "dilation: 2 dilation: 1",
       MakeCase("per_axis", {1, 2, 6, 5}, 2,
                {.kernel = {3, 1}, .stride = {1, 2}, .pad = {1, 0}, .dilation = {2, 1}},
                1, true)},
      {"num_output: 3 kernel_size: 3 pad: 1",
       MakeCase("1d", {2, 2, 9}, 3, {.kernel = {3}, .pad = {1}}, 1, true)},
      {"num_output: 4 kernel_size: 2 pad: 1 group: 2",
       MakeCase("3d", {1, 2, 3, 2, 3}, 4, {.kernel = {2}, .pad = {1}}, 2, true)},
      {"num_output: 4 kernel_size: 3 pad: 1 force_nd_im2col: true engine: CAFFE",
       MakeCase("engine_caffe", {2, 3, 6, 4}, 4, {.kernel = {3}, .pad = {1}}, 1, true)},
  };
}

TEST(ConvolutionLayerTest, ForwardAndBackwardAgreeWithTheDefinition) {
  for (const LayerCase& c : LayerCases()) {
    SCOPED_TRACE(c.param);
    LayerRun<double> run(Convolution(c.param), {c.c.problem.src});
    run.Forward();
    ASSERT_EQ(run.top[0]->shape(), c.c.problem.dst);
    ASSERT_EQ(run.layer->blobs().size(), c.c.problem.bias ? 2u : 1u);
    ASSERT_EQ(run.layer->blobs()[0]->shape(), c.c.problem.WeightsShape());
    run.Backward();
    const Doubles bias = c.c.problem.bias ? Values(*run.layer->blobs()[1]) : Doubles();
    const ConvolutionResults want = ReferenceConvolution(
        c.c.problem, run.Bottom(0), Values(*run.layer->blobs()[0]), bias, run.TopDiff());
    const std::int64_t terms = run.layer->blobs()[0]->count() + run.top[0]->count();
    const Tolerance tolerance = ToleranceOf<double>(OpKind::kReduction, terms);
    ExpectClose(run.Top(), want.y, tolerance, "top");
    ExpectClose(run.BottomDiff(0), want.dx, tolerance, "dx");
    ExpectClose(Values(*run.layer->blobs()[0], Half::kDiff), want.dw, tolerance, "dw");
    if (c.c.problem.bias) {
      ExpectClose(Values(*run.layer->blobs()[1], Half::kDiff), want.db, tolerance, "db");
    }
  }
}

TEST(ConvolutionLayerTest, Float) {
  for (const LayerCase& c : LayerCases()) {
    const std::int64_t terms =
        Product(c.c.problem.WeightsShape()) + Product(c.c.problem.dst);
    ExpectFloatMatchesDouble(Convolution(c.param), {c.c.problem.src}, OpKind::kReduction,
                             terms);
  }
}

TEST(ConvolutionLayerTest, Gradient) {
  for (const LayerCase& c : LayerCases()) {
    SCOPED_TRACE(c.param);
    LayerRun<double> run(Convolution(c.param), {c.c.problem.src});
    GradientChecker checker;
    checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top);
    EXPECT_GT(checker.compared(), 0);
  }
}

TEST(ConvolutionLayerTest, SeveralBottomsShareTheWeights) {
  const std::string text = Convolution("num_output: 4 kernel_size: 3 group: 2");
  LayerRun<double> both(text, {{2, 4, 5, 4}, {2, 4, 5, 4}}, 2);
  GradientChecker().CheckGradientExhaustive(both.layer.get(), both.bottom, both.top);
  both.Forward();
  for (int i = 0; i < 2; ++i) {
    LayerRun<double> alone(text, {{2, 4, 5, 4}});
    alone.SetUp();
    alone.bottom[0]->CopyFrom(*both.bottom[i]);
    for (int b = 0; b < 2; ++b)
      alone.layer->blobs()[b]->CopyFrom(*both.layer->blobs()[b]);
    alone.Forward();
    ExpectClose(both.Top(i), alone.Top(), ToleranceOf<double>(OpKind::kCopy),
                Str("top ", i));
  }
}

// All axes before `axis` make up the batch.
TEST(ConvolutionLayerTest, ChannelAxis) {
  const ConvolutionCase c = MakeCase("c", {6, 3, 5, 4}, 2, {{3}}, 1, true);
  for (const std::string axis : {"2", "-3"}) {
    LayerRun<double> run(Convolution("num_output: 2 kernel_size: 3 axis: " + axis),
                         {{2, 3, 3, 5, 4}});
    run.Forward();
    EXPECT_EQ(run.top[0]->shape(), std::vector<int>({2, 3, 2, 3, 2}));
    run.Backward();
    const ConvolutionResults want =
        ReferenceConvolution(c.problem, run.Bottom(0), Values(*run.layer->blobs()[0]),
                             Values(*run.layer->blobs()[1]), run.TopDiff());
    const Tolerance tolerance = ToleranceOf<double>(OpKind::kReduction, 64);
    ExpectClose(run.Top(), want.y, tolerance, "top");
    ExpectClose(run.BottomDiff(0), want.dx, tolerance, "dx");
    ExpectClose(Values(*run.layer->blobs()[0], Half::kDiff), want.dw, tolerance, "dw");
    ExpectClose(Values(*run.layer->blobs()[1], Half::kDiff), want.db, tolerance, "db");
  }
  ExpectFloatMatchesDouble(Convolution("num_output: 16 kernel_size: 3 axis: 2"),
                           {{2, 3, 16, 5, 4}}, OpKind::kReduction, 16 * 9);
}

TEST(ConvolutionLayerTest, PackedInput) {
  PackedCase options;
  options.kind = OpKind::kReduction;
  options.terms = 2 * 9 * 7;
  options.stays_packed = PreferredBlock<float>({2, 32, 9, 7}) == 16;
  ExpectPackedMatchesPlain(Convolution("num_output: 16 kernel_size: 3 pad: 1"),
                           {{2, 32, 9, 7}}, options);
  ExpectPackedMatchesPlain(Convolution("num_output: 32 kernel_size: 3 pad: 1 group: 8"),
                           {{2, 32, 9, 7}}, options);
}

TEST(ConvolutionLayerTest, EngineCaffeIsTheReference) {
  const auto engine = [](const std::string& param) {
    LayerRun<float> run(Convolution("num_output: 16 kernel_size: 3 " + param),
                        {{1, 16, 8, 8}});
    run.SetUp();
    return dynamic_cast<const ConvolutionLayer<float>&>(*run.layer).engine_name();
  };
  const ConvolutionCase c =
      MakeCase("default", {1, 16, 8, 8}, 16, {.kernel = {3}}, 1, true);
  const std::string usual = MakeConvolution<float>(c.problem)->name();
  EXPECT_EQ(engine(""), usual);
  EXPECT_EQ(engine("engine: DEFAULT"), usual);
  EXPECT_EQ(engine("engine: CUDNN"), usual);
  EXPECT_EQ(engine("engine: CAFFE"), "reference");
}

TEST(ConvolutionLayerTest, FollowsTheShapeOfItsInput) {
  LayerRun<float> run(Convolution("num_output: 16 kernel_size: 3 pad: 1 stride: 2"),
                      {{2, 16, 8, 8}});
  run.Forward();
  for (const std::vector<int>& shape :
       Shapes{{1, 16, 5, 9}, {3, 16, 1, 1}, {2, 16, 8, 8}}) {
    run.bottom[0]->Reshape(shape);
    Fill(run.bottom[0], 5);
    run.Forward();
    const ConvolutionCase c =
        MakeCase("c", shape, 16, {.kernel = {3}, .stride = {2}, .pad = {1}}, 1, true);
    ASSERT_EQ(run.top[0]->shape(), c.problem.dst);
    run.Backward();
    const ConvolutionResults want =
        ReferenceConvolution(c.problem, run.Bottom(0), Values(*run.layer->blobs()[0]),
                             Values(*run.layer->blobs()[1]), run.TopDiff());
    const Tolerance tolerance = ToleranceOf<float>(OpKind::kReduction, 16 * 9);
    ExpectClose(run.Top(), want.y, tolerance, "top");
    ExpectClose(run.BottomDiff(0), want.dx, tolerance, "dx");
  }
}

TEST(ConvolutionLayerTest, AnEmptyBatchIsNothingToDo) {
  for (const char* param :
       {"num_output: 16 kernel_size: 3", "num_output: 3 kernel_size: 1"}) {
    LayerRun<float> run(Convolution(param), {{0, 16, 5, 5}});
    run.Forward();
    run.Backward();
    EXPECT_EQ(run.top[0]->count(), 0);
    for (const auto& blob : run.layer->blobs()) EXPECT_EQ(blob->asum_diff(), 0);
  }
}

TEST(ConvolutionLayerTest, SobelAsThreeByThreeOrTwoSteps) {
  // The Sobel filter [1 2 1]' x [-1 0 1] is separable.
  const auto make = [](const std::string& param, const Doubles& weights) {
    auto run = std::make_unique<LayerRun<double>>(
        Convolution("num_output: 1 bias_term: false " + param), Shapes{{2, 1, 7, 6}});
    run->SetUp();
    FillWith(run->layer->blobs()[0].get(), Half::kData,
             [&](int i) { return weights[i]; });
    return run;
  };
  auto whole = make("kernel_size: 3", {-1, 0, 1, -2, 0, 2, -1, 0, 1});
  auto column = make("kernel_h: 3 kernel_w: 1", {1, 2, 1});
  auto row = make("kernel_h: 1 kernel_w: 3", {-1, 0, 1});
  whole->Forward();
  column->Forward();
  row->bottom[0]->CopyFrom(*column->top[0], false, true);
  row->Forward();
  ExpectClose(row->Top(), whole->Top(), ToleranceOf<double>(OpKind::kReduction, 9),
              "sobel");
}

TEST(ConvolutionLayerTest, BadInput) {
  const auto fails = [](const std::string& param, const std::vector<int>& shape,
                        const std::vector<std::string>& parts) {
    ExpectLayerError(Convolution(param), {shape}, 1, parts);
  };
  fails("num_output: 2 kernel_size: 5", {1, 3, 4, 9},
        {"(1, 3, 4, 9)", "axis 0", "larger image"});
  fails("num_output: 2 kernel_size: 3 dilation: 4", {1, 3, 9, 8}, {"axis 1"});
  fails("num_output: 4 kernel_size: 3 group: 2", {1, 3, 8, 8},
        {"3 channels", "group (2)"});
  fails("num_output: 3 kernel_size: 3 group: 2", {1, 4, 8, 8},
        {"num_output is 3", "group (2)"});
  fails("num_output: 2 kernel_size: 3 group: 0", {1, 4, 8, 8}, {"group"});
  fails("num_output: 0 kernel_size: 3", {1, 4, 8, 8}, {"num_output"});
  fails("kernel_size: 3", {1, 4, 8, 8}, {"num_output"});
  fails("num_output: 2", {1, 4, 8, 8}, {"kernel_size is missing"});
  fails("num_output: 2 kernel_size: 0", {1, 4, 8, 8}, {"kernel 0"});
  fails("num_output: 2 kernel_size: 3 stride: 0", {1, 4, 8, 8}, {"stride 0"});
  fails("num_output: 2 kernel_h: 3", {1, 4, 8, 8}, {"kernel 0"});
  fails("num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3", {1, 4, 8, 8}, {"both"});
  fails("num_output: 2 kernel_size: 3 kernel_size: 3 kernel_size: 3", {1, 4, 8, 8},
        {"3 times"});
  fails("num_output: 2 kernel_h: 3 kernel_w: 3", {1, 4, 8}, {"2 spatial axes"});
  fails("num_output: 2 kernel_size: 3 axis: 5", {1, 4, 8, 8}, {"axis 5"});
  fails("num_output: 4294967295 kernel_size: 1", {1, 4, 8, 8}, {"num_output"});
  fails("num_output: 1 kernel_size: 4294967295", {1, 1, 8}, {"4294967295", "too large"});
  // Sizes whose arithmetic would overflow an int.
  fails("num_output: 1 kernel_size: 65536 dilation: 65536", {1, 1, 8}, {"does not fit"});
  fails("num_output: 1 kernel_size: 1 pad: 2000000000", {1, 1, 8}, {"(1, 1, 8)"});
}

TEST(ConvolutionLayerTest, AnotherNumberOfChannelsIsAnError) {
  LayerRun<float> run(Convolution("num_output: 2 kernel_size: 3"), {{1, 4, 8, 8}});
  run.Forward();
  run.bottom[0]->Reshape({1, 5, 8, 8});
  std::string message = ErrorOfAction([&] { run.Forward(); });
  EXPECT_NE(message.find("5 channels, expected 4"), std::string::npos) << message;
  run.bottom[0]->Reshape({1, 4, 64});
  message = ErrorOfAction([&] { run.Forward(); });
  EXPECT_NE(message.find("(1, 4, 64)"), std::string::npos) << message;
  run.bottom[0]->Reshape({1, 4, 2, 8});
  message = ErrorOfAction([&] { run.Forward(); });
  EXPECT_NE(message.find("does not fit"), std::string::npos) << message;
  run.bottom[0]->Reshape({1, 4, 8, 8});
  EXPECT_EQ(ErrorOfAction([&] { run.Forward(); }), "") << "usable after an error";
}

TEST(ConvolutionLayerTest, StoredWeightsMustFit) {
  LayerRun<float> donor(Convolution("num_output: 2 kernel_size: 3"), {{1, 4, 8, 8}});
  donor.SetUp();
  LayerParameter param;
  donor.layer->ToProto(&param);
  const auto set_up = [&](const std::vector<int>& shape) {
    Blob<float> bottom(shape), top;
    LayerRegistry<float>::CreateLayer(param)->SetUp({&bottom}, {&top});
  };
  EXPECT_EQ(ErrorOfAction([&] { set_up({1, 4, 8, 8}); }), "");
  const std::string message = ErrorOfAction([&] { set_up({1, 5, 8, 8}); });
  EXPECT_NE(message.find("(2, 4, 3, 3), expected (2, 5, 3, 3)"), std::string::npos)
      << message;
  param.mutable_convolution_param()->set_bias_term(false);
  EXPECT_NE(ErrorOfAction([&] { set_up({1, 4, 8, 8}); }).find("2 weight blob"),
            std::string::npos);
}

}  // namespace
}  // namespace test
}  // namespace caffe
