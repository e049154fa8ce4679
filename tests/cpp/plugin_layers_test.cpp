// Layers written for BVLC Caffe, loaded from plugins: tests/plugins holds their sources,
// which include public headers only.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "caffe/plugin.hpp"
#include "gradient_checker.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

template <typename T>
class PluginLayersTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const char* name :
         {"channel_shuffle", "depthwise_conv", "focal_loss", "unit_norm"}) {
      LoadPlugin(Str(CAFFE_TEST_PLUGINS, "/lib", name, ".so"));
    }
  }
};
using FloatAndDouble = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PluginLayersTest, FloatAndDouble);

void CheckGradient(const std::string& text, const Shapes& shapes, int check_bottom = -1,
                   Prepare<double> prepare = nullptr) {
  LayerRun<double> run(text, shapes);
  if (prepare) prepare(&run);
  GradientChecker checker;
  checker.CheckGradientExhaustive(run.layer.get(), run.bottom, run.top, check_bottom);
  EXPECT_GT(checker.compared(), 0);
}

constexpr const char* kShuffle = "type: 'ChannelShuffle' convolution_param { group: 3 }";

TYPED_TEST(PluginLayersTest, ChannelShuffleInterleavesGroups) {
  LayerRun<TypeParam> run(kShuffle, {{2, 6, 2, 3}});
  run.Forward();
  const Doubles x = run.Bottom(0);
  Doubles want(x.size());
  for (int n = 0; n < 2; ++n) {
    for (int group = 0; group < 3; ++group) {
      for (int member = 0; member < 2; ++member) {
        for (int s = 0; s < 6; ++s) {
          want[(n * 6 + member * 3 + group) * 6 + s] =
              x[(n * 6 + group * 2 + member) * 6 + s];
        }
      }
    }
  }
  ExpectClose(run.Top(), want, ToleranceOf<TypeParam>(OpKind::kCopy), "top");
}

TYPED_TEST(PluginLayersTest, ChannelShuffleGradient) {
  CheckGradient(kShuffle, {{2, 6, 2, 3}});
}

TYPED_TEST(PluginLayersTest, AFailedCheckInAPluginNamesTheLayerInANet) {
  NetParameter param;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      Str("layer { name: 'data' type: 'Input' top: 'data' "
          "input_param { shape { dim: 2 dim: 4 dim: 2 dim: 2 } } } "
          "layer { name: 'mix' bottom: 'data' top: 'mix' ",
          kShuffle, " }"),
      &param));
  const std::string message = ErrorOfAction([&] { Net<TypeParam> net(param); });
  EXPECT_THAT(message, AllOf(HasSubstr("'mix'"), HasSubstr("ChannelShuffle"),
                             HasSubstr("multiple of group")));
}

constexpr const char* kUnitNorm =
    "type: 'UnitNorm' scale_param { filler { type: 'uniform' min: 0.5 max: 2 } }";

TYPED_TEST(PluginLayersTest, UnitNormNormalisesOverChannels) {
  const int num = 2, channels = 5, spatial = 6;
  LayerRun<TypeParam> run(kUnitNorm, {{num, channels, 2, 3}});
  run.Forward();
  const Doubles x = run.Bottom(0);
  const Doubles scale = Values(*run.layer->blobs()[0]);
  ASSERT_EQ(scale.size(), 5u);
  for (const double value : scale) EXPECT_TRUE(value >= 0.5 && value <= 2) << value;
  Doubles want(x.size());
  for (int n = 0; n < num; ++n) {
    for (int s = 0; s < spatial; ++s) {
      double squares = 1e-10;
      for (int c = 0; c < channels; ++c) {
        const double value = x[(n * channels + c) * spatial + s];
        squares += value * value;
      }
      for (int c = 0; c < channels; ++c) {
        const int i = (n * channels + c) * spatial + s;
        want[i] = scale[c] * x[i] / std::sqrt(squares);
      }
    }
  }
  ExpectClose(run.Top(), want, ToleranceOf<TypeParam>(OpKind::kNormalization, channels),
              "top");
}

TYPED_TEST(PluginLayersTest, UnitNormGradient) {
  CheckGradient(kUnitNorm, {{2, 3, 2, 2}});
}

constexpr const char* kFocal =
    "type: 'FocalLoss' power_param { power: 2 scale: 0.25 } "
    "loss_param { ignore_label: 9 }";

template <typename T>
void FocalLabels(LayerRun<T>* run) {
  FillIntegers(run->bottom[1], 1, 0, 3);
  run->bottom[1]->mutable_cpu_data()[2] = 9;
}

TYPED_TEST(PluginLayersTest, FocalLossIsTheFormulaOfThePaper) {
  const int num = 3, classes = 4, inner = 2;
  LayerRun<TypeParam> run(kFocal, {{num, classes, 1, inner}, {num, 1, 1, inner}}, 2);
  FocalLabels(&run);
  const double loss = run.Forward();
  const Doubles score = run.Bottom(0);
  const Doubles label = run.Bottom(1);
  double want = 0;
  int counted = 0;
  for (int n = 0; n < num; ++n) {
    for (int s = 0; s < inner; ++s) {
      const int t = static_cast<int>(label[n * inner + s]);
      if (t == 9) continue;
      double sum = 0;
      for (int c = 0; c < classes; ++c) {
        sum += std::exp(score[(n * classes + c) * inner + s]);
      }
      const double p = std::exp(score[(n * classes + t) * inner + s]) / sum;
      want -= 0.25 * std::pow(1 - p, 2) * std::log(p);
      ++counted;
    }
  }
  ASSERT_EQ(counted, num * inner - 1);
  const Tolerance tolerance = ToleranceOf<TypeParam>(OpKind::kLoss, classes);
  ExpectClose({loss}, {want / counted}, tolerance, "loss");
  ExpectClose(run.Top(0), {want / counted}, tolerance, "top");
}

TYPED_TEST(PluginLayersTest, FocalLossGradient) {
  CheckGradient(kFocal, {{3, 4, 1, 2}, {3, 1, 1, 2}}, 0, FocalLabels<double>);
}

constexpr const char* kDepthwise =
    "type: 'DepthwiseConvolution' convolution_param { num_output: 6 group: 3 "
    "kernel_h: 3 kernel_w: 2 stride: 2 pad_h: 2 pad_w: 1 dilation: 2 "
    "weight_filler { type: 'uniform' min: -1 max: 1 } "
    "bias_filler { type: 'uniform' min: -1 max: 1 } }";

TYPED_TEST(PluginLayersTest, DepthwiseConvolutionSumsEachChannelsWindow) {
  const int num = 2, channels = 3, outputs = 6, h = 7, w = 6;
  LayerRun<TypeParam> run(kDepthwise, {{num, channels, h, w}});
  run.Forward();
  const int out_h = (h + 2 * 2 - 5) / 2 + 1, out_w = (w + 2 * 1 - 3) / 2 + 1;
  ASSERT_EQ(run.top[0]->shape(), (std::vector<int>{num, outputs, out_h, out_w}));
  const Doubles x = run.Bottom(0);
  const Doubles weight = Values(*run.layer->blobs()[0]);
  const Doubles bias = Values(*run.layer->blobs()[1]);
  ASSERT_EQ(weight.size(), 36u);
  Doubles want;
  for (int n = 0; n < num; ++n) {
    for (int o = 0; o < outputs; ++o) {
      for (int oh = 0; oh < out_h; ++oh) {
        for (int ow = 0; ow < out_w; ++ow) {
          double sum = bias[o];
          for (int kh = 0; kh < 3; ++kh) {
            for (int kw = 0; kw < 2; ++kw) {
              const int y = 2 * oh - 2 + 2 * kh, z = 2 * ow - 1 + 2 * kw;
              if (y < 0 || y >= h || z < 0 || z >= w) continue;
              sum += weight[(o * 3 + kh) * 2 + kw] *
                     x[((n * channels + o / 2) * h + y) * w + z];
            }
          }
          want.push_back(sum);
        }
      }
    }
  }
  ExpectClose(run.Top(), want, ToleranceOf<TypeParam>(OpKind::kReduction, 7), "top");
}

TYPED_TEST(PluginLayersTest, DepthwiseConvolutionGradient) {
  CheckGradient(kDepthwise, {{2, 3, 5, 4}});
}

TYPED_TEST(PluginLayersTest, DepthwiseConvolutionEqualsGroupedConvolution) {
  LayerRun<TypeParam> depthwise(kDepthwise, {{2, 3, 7, 6}});
  std::string text = kDepthwise;
  text.replace(text.find("DepthwiseConvolution"), 20, "Convolution");
  LayerRun<TypeParam> grouped(text, {{2, 3, 7, 6}});
  depthwise.SetUp();
  grouped.SetUp();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(depthwise.layer->blobs()[i]->shape(), grouped.layer->blobs()[i]->shape());
    grouped.layer->blobs()[i]->CopyFrom(*depthwise.layer->blobs()[i]);
  }
  depthwise.Forward();
  grouped.Forward();
  ExpectClose(depthwise.Top(), grouped.Top(),
              ToleranceOf<TypeParam>(OpKind::kReduction, 7), "top");
}

}  // namespace
}  // namespace test
}  // namespace caffe
