#include <memory>
#include <string>
#include <vector>

#include "caffe/layers/conv_layer.hpp"
#include "caffe/net.hpp"
#include "caffe/net/schedule.hpp"
#include "layer_test.hpp"
#include "net/net_fixture.hpp"
#include "ops/problems.hpp"
#include "ops/reference_convolution.hpp"

namespace caffe {
namespace test {
namespace {

constexpr const char* kTypes[] = {"ConvolutionDepthwise", "DepthwiseConvolution"};

std::string Depthwise(const std::string& type, const std::string& param) {
  return "name: 'c' type: '" + type +
         "' convolution_param { weight_filler { type: 'gaussian' std: 0.5 } bias_filler "
         "{ type: 'gaussian' } " +
         param + " }";
}

TEST(DepthwiseConvolutionTest, IsAConvolutionWithAGroupForEachChannel) {
  const ConvolutionCase c = MakeCase("depthwise", {2, 4, 6, 5}, 4,
                                     {.kernel = {3}, .stride = {2}, .pad = {1}}, 4, true);
  for (const char* type : kTypes) {
    // What may be left out is the number of channels.
    for (const char* given :
         {"", "num_output: 4", "group: 4", "num_output: 4 group: 4"}) {
      const std::string param = Str(given, " kernel_size: 3 stride: 2 pad: 1");
      SCOPED_TRACE(Str(type, ": ", param));
      LayerRun<double> run(Depthwise(type, param), {c.problem.src});
      run.Forward();
      ASSERT_EQ(run.top[0]->shape(), c.problem.dst);
      ASSERT_EQ(run.layer->blobs()[0]->shape(), std::vector<int>({4, 1, 3, 3}));
      run.Backward();
      const ConvolutionResults want =
          ReferenceConvolution(c.problem, run.Bottom(0), Values(*run.layer->blobs()[0]),
                               Values(*run.layer->blobs()[1]), run.TopDiff());
      const std::int64_t terms = run.layer->blobs()[0]->count() + run.top[0]->count();
      const Tolerance tolerance = ToleranceOf<double>(OpKind::kReduction, terms);
      ExpectClose(run.Top(), want.y, tolerance, "top");
      ExpectClose(run.BottomDiff(0), want.dx, tolerance, "dx");
      ExpectClose(Values(*run.layer->blobs()[0], Half::kDiff), want.dw, tolerance, "dw");
      ExpectClose(Values(*run.layer->blobs()[1], Half::kDiff), want.db, tolerance, "db");
    }
  }
}

// The same engine, and the same fusion with what stands behind it.
TEST(DepthwiseConvolutionTest, IsAsFastAsConvolution) {
  const auto net = [](const std::string& type) {
    return MakeNet<float>(
        InputLayer("x", {1, 32, 14, 14}) + "layer { bottom: 'x' top: 'c' " +
            Depthwise(type, "num_output: 32 group: 32 kernel_size: 3 pad: 1") +
            " } layer { name: 's' type: 'Scale' bottom: 'c' top: 'c' } "
            "layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'c' }",
        TEST);
  };
  const auto engine = [](const Net<float>& made) {
    const auto layer = made.layer_by_name("c");
    return dynamic_cast<const BaseConvolutionLayer<float>&>(*layer).engine_name();
  };
  const auto plain = net("Convolution");
  plain->Optimize();
  for (const char* type : kTypes) {
    const auto made = net(type);
    EXPECT_STREQ(made->layer_by_name("c")->type(), "Convolution");
    EXPECT_EQ(engine(*made), engine(*plain));
    made->Optimize();
    EXPECT_EQ(made->schedule().ToString(), plain->schedule().ToString());
  }
}

TEST(DepthwiseConvolutionTest, IsSavedInWordsOfEveryCaffe) {
  for (const char* type : kTypes) {
    LayerRun<float> run(Depthwise(type, "kernel_size: 3 bias_term: false"),
                        {{1, 6, 4, 4}});
    run.SetUp();
    LayerParameter saved;
    run.layer->ToProto(&saved);
    EXPECT_EQ(saved.type(), "Convolution");
    EXPECT_EQ(saved.convolution_param().group(), 6u);
    EXPECT_EQ(saved.convolution_param().num_output(), 6u);
  }
}

TEST(DepthwiseConvolutionTest, ANumberThatDoesNotAgreeIsRefused) {
  for (const char* type : kTypes) {
    ExpectLayerError(Depthwise(type, "num_output: 4 group: 2 kernel_size: 3"),
                     {{1, 4, 5, 5}}, 1, {"group is 2, expected 4"});
    ExpectLayerError(Depthwise(type, "num_output: 4 group: 1 kernel_size: 3"),
                     {{1, 4, 5, 5}}, 1, {"group is 1, expected 4"});
    ExpectLayerError(Depthwise(type, "num_output: 8 kernel_size: 3"), {{1, 4, 5, 5}}, 1,
                     {"num_output is 8, expected 4", "write type Convolution"});
    ExpectLayerError(Depthwise(type, "num_output: 4294967295 kernel_size: 3"),
                     {{1, 4, 5, 5}}, 1, {"num_output is 4294967295, expected 4"});
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
