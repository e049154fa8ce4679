#include "caffe/net/passes/fuse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/layers/conv_layer.hpp"
#include "net/sk_blocks.hpp"

namespace caffe {
namespace test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// The layers of each step, as "c+s+r".
std::vector<std::string> Steps(const Net<double>& net, Policy policy) {
  std::vector<std::string> steps;
  for (const Step& step : Fuse(net.graph(), policy).steps) {
    std::string names;
    for (int layer : step.layers) {
      names += (names.empty() ? "" : "+") + net.layer_names()[layer];
    }
    steps.push_back(names);
  }
  return steps;
}

const std::string kFilters =
    "convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'msra' } }";

std::string Input() { return InputLayer("x", {2, 4, 3, 3}); }

TEST(FuseTest, PlainIsLayerByLayer) {
  const auto net =
      MakeNet<double>(Input() + LayerText("c", "Convolution", {"x"}, "c", kFilters) +
                          LayerText("r", "ReLU", {"c"}, "c"),
                      TEST);
  EXPECT_THAT(Steps(*net, Policy::kPlain), ElementsAre("x", "c", "r"));
  EXPECT_THAT(Steps(*net, Policy::kTraining), ElementsAre("x", "c", "r"));
}

TEST(FuseTest, BatchNormTakesTheReLUInPlaceBehindIt) {
  const std::string norm = LayerText("bn", "CuDNNBatchNorm", {"x"}, "bn");
  const auto steps = [&](const std::string& behind, const std::string& text) {
    return Steps(*MakeNet<double>("force_backward: true\n" + Input() + text + behind),
                 Policy::kTraining);
  };
  EXPECT_THAT(steps(LayerText("r", "ReLU", {"bn"}, "bn"), norm),
              ElementsAre("x", "bn+r"));
  // Another blob, another function, a norm that works in place itself.
  EXPECT_THAT(steps(LayerText("r", "ReLU", {"bn"}, "r"), norm),
              ElementsAre("x", "bn", "r"));
  EXPECT_THAT(
      steps(LayerText("r", "ReLU", {"bn"}, "bn", "relu_param { negative_slope: 0.1 }"),
            norm),
      ElementsAre("x", "bn", "r"));
  EXPECT_THAT(steps(LayerText("r", "ReLU", {"y"}, "y"),
                    LayerText("y", "Power", {"x"}, "y") +
                        LayerText("bn", "CuDNNBatchNorm", {"y"}, "y")),
              ElementsAre("x", "y", "bn", "r"));
}

TEST(FuseTest, ConvolutionTakesNormsASumAndAReLU) {
  const auto net = MakeNet<double>(
      Input() + LayerText("c", "Convolution", {"x"}, "c", kFilters) +
          LayerText("n", "BatchNorm", {"c"}, "n") + LayerText("s", "Scale", {"n"}, "n") +
          InputLayer("y", {2, 4, 3, 3}) + LayerText("sum", "Eltwise", {"y", "n"}, "sum") +
          LayerText("r", "ReLU", {"sum"}, "sum") + LayerText("p", "Power", {"sum"}, "p"),
      TEST);
  EXPECT_THAT(Steps(*net, Policy::kInference), ElementsAre("x", "y", "c+n+s+sum+r", "p"));
  const auto fused = Fuse(net->graph(), Policy::kInference);
  const Step& step = fused.steps[2];
  const auto id = [&](const std::string& name) {
    return net->graph().blob_index.at(name);
  };
  EXPECT_THAT(step.reads, ElementsAre(id("x"), id("y")));
  EXPECT_THAT(step.writes, ElementsAre(id("sum")));
  EXPECT_THAT(step.skipped, ElementsAre(id("c"), id("n"), id("n")));
}

// What reads the convolution's top besides must find it.
TEST(FuseTest, ABlobWithTwoReadersIsComputed) {
  const auto net = MakeNet<double>(
      Input() + LayerText("c", "Convolution", {"x"}, "c", kFilters) +
          LayerText("r", "ReLU", {"c"}, "r") + LayerText("t", "TanH", {"c"}, "t"),
      TEST);
  const auto steps = Steps(*net, Policy::kInference);
  EXPECT_THAT(steps, testing::Contains("c"));
  EXPECT_THAT(steps, testing::Contains("r"));
}

TEST(FuseTest, BranchesAreSummedAndPooledAtOnce) {
  const std::string pool = "pooling_param { pool: AVE global_pooling: true }";
  const auto net = MakeNet<double>(Input() + InputLayer("y", {2, 4, 3, 3}) +
                                       LayerText("sum", "Eltwise", {"x", "y"}, "sum") +
                                       LayerText("p", "Pooling", {"sum"}, "p", pool),
                                   TEST);
  EXPECT_THAT(Steps(*net, Policy::kInference), ElementsAre("x", "y", "sum+p"));
  const auto most =
      MakeNet<double>(Input() + InputLayer("y", {2, 4, 3, 3}) +
                          LayerText("sum", "Eltwise", {"x", "y"}, "sum") +
                          LayerText("p", "Pooling", {"sum"}, "p",
                                    "pooling_param { global_pooling: true }"),
                      TEST);
  EXPECT_THAT(Steps(*most, Policy::kInference), ElementsAre("x", "y", "sum", "p"));
}

TEST(FuseTest, BranchesAreScaledAndSummedAtOnce) {
  const auto net = MakeNet<double>(
      Input() + InputLayer("y", {2, 4, 3, 3}) + InputLayer("a", {2, 4}) +
          InputLayer("b", {2, 4}) +
          LayerText("scaled", "Scale", {"x", "a"}, "scaled", "scale_param { axis: 0 }") +
          LayerText("axpy", "Axpy", {"b", "y", "scaled"}, "axpy"),
      TEST);
  EXPECT_THAT(Steps(*net, Policy::kInference),
              ElementsAre("x", "y", "a", "b", "scaled+axpy"));
}

// What tells of another class than it is: a layer that derives and may differ.
template <typename Dtype>
class Renamed : public ConvolutionLayer<Dtype> {
 public:
  using ConvolutionLayer<Dtype>::ConvolutionLayer;
};

TEST(FuseTest, ADerivedLayerIsLeftAlone) {
  const auto net =
      MakeNet<double>(Input() + LayerText("c", "Convolution", {"x"}, "c", kFilters) +
                          LayerText("r", "ReLU", {"c"}, "c"),
                      TEST);
  EXPECT_THAT(Steps(*net, Policy::kInference), ElementsAre("x", "c+r"));
  Graph<double> graph = net->graph();
  auto derived = std::make_shared<Renamed<double>>(net->layers()[1]->layer_param());
  derived->SetUp(graph.bottom_vecs[1], graph.top_vecs[1]);
  graph.layers[1] = derived;
  graph.Refresh();
  EXPECT_EQ(Fuse(graph, Policy::kInference).steps.size(), 3u);
}

TEST(FuseTest, ForInferenceNoBackwardReadsAnything) {
  const auto net = MakeNet<double>(
      Input() + LayerText("c", "Convolution", {"x"}, "c", kFilters), TEST);
  for (const Step& step : Fuse(net->graph(), Policy::kInference).steps) {
    for (const Step::Use& use : step.uses) EXPECT_EQ(use.backward, DataUse::kNone);
  }
  const Step plain = Fuse(net->graph(), Policy::kTraining).steps[1];
  EXPECT_EQ(plain.uses[0].backward, DataUse::kRead);
  EXPECT_THAT(plain.skipped, IsEmpty());
}

}  // namespace
}  // namespace test
}  // namespace caffe
