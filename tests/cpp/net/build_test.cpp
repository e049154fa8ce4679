#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "captured_log.hpp"
#include "net/net_fixture.hpp"
#include "util/temporary_folder.hpp"

// How a Net is put together: rules, blobs, names, and what is refused.

namespace caffe {
namespace {

using test::CapturedLog;
using test::InputLayer;
using test::IpLayer;
using test::LossLayer;
using test::MakeNet;
using test::MessageOf;
using test::NetError;
using test::NetFromText;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

/// Whether a layer with `rules` stays in a net with `state`.
bool Stays(const std::string& rules, const std::string& state) {
  const NetParameter param = NetFromText(
      Str("state { ", state, " } layer { name: 'l' type: 'Silence' ", rules, " }"));
  NetParameter filtered;
  Net<float>::FilterNet(param, &filtered);
  return filtered.layer_size() == 1;
}

TEST(FilterNetTest, Phase) {
  EXPECT_TRUE(Stays("", "phase: TRAIN"));
  EXPECT_TRUE(Stays("include { phase: TRAIN }", "phase: TRAIN"));
  EXPECT_FALSE(Stays("include { phase: TRAIN }", "phase: TEST"));
  EXPECT_FALSE(Stays("include { phase: TRAIN }", "")) << "the default phase is TEST";
  EXPECT_FALSE(Stays("exclude { phase: TRAIN }", "phase: TRAIN"));
  EXPECT_TRUE(Stays("exclude { phase: TRAIN }", "phase: TEST"));
}

TEST(FilterNetTest, Level) {
  EXPECT_TRUE(Stays("include { min_level: 2 }", "level: 2"));
  EXPECT_FALSE(Stays("include { min_level: 2 }", "level: 1"));
  EXPECT_FALSE(Stays("include { min_level: 1 }", "")) << "the default level is 0";
  EXPECT_TRUE(Stays("include { max_level: -1 }", "level: -3"));
  EXPECT_FALSE(Stays("include { max_level: -1 }", "level: 0"));
  EXPECT_TRUE(Stays("include { min_level: 1 max_level: 3 }", "level: 3"));
  EXPECT_FALSE(Stays("include { min_level: 1 max_level: 3 }", "level: 4"));
  EXPECT_FALSE(Stays("exclude { min_level: 2 }", "level: 5"));
}

TEST(FilterNetTest, Stage) {
  EXPECT_TRUE(Stays("include { stage: 'a' }", "stage: 'b' stage: 'a'"));
  EXPECT_FALSE(Stays("include { stage: 'a' }", "stage: 'b'"));
  EXPECT_FALSE(Stays("include { stage: 'a' stage: 'b' }", "stage: 'a'"))
      << "one rule wants all its stages";
  EXPECT_TRUE(Stays("include { stage: 'a' } include { stage: 'b' }", "stage: 'a'"))
      << "any include rule suffices";
  EXPECT_TRUE(Stays("include { not_stage: 'a' }", ""));
  EXPECT_FALSE(Stays("include { not_stage: 'a' not_stage: 'b' }", "stage: 'b'"));
  EXPECT_FALSE(Stays("exclude { stage: 'a' } exclude { stage: 'b' }", "stage: 'b'"));
  EXPECT_TRUE(Stays("exclude { stage: 'a' stage: 'b' }", "stage: 'b'"));
}

TEST(FilterNetTest, ARuleWantsEverythingItNames) {
  const std::string rule = "include { phase: TEST min_level: 1 stage: 'deploy' }";
  EXPECT_TRUE(Stays(rule, "phase: TEST level: 1 stage: 'deploy'"));
  EXPECT_FALSE(Stays(rule, "phase: TRAIN level: 1 stage: 'deploy'"));
  EXPECT_FALSE(Stays(rule, "phase: TEST level: 0 stage: 'deploy'"));
  EXPECT_FALSE(Stays(rule, "phase: TEST level: 1"));
}

TEST(FilterNetTest, BothKindsOfRuleAreAnError) {
  EXPECT_THAT(MessageOf<ValueError>(
                  [] { Stays("include { phase: TRAIN } exclude { min_level: 1 }", ""); }),
              AllOf(HasSubstr("'l'"), HasSubstr("both include and exclude")));
}

// A file is read with the phase, level and stages of the caller.
TEST(NetSetUpTest, FromFile) {
  test::TemporaryFolder folder;
  const std::string path = folder / "net.prototxt";
  test::WriteBytes(path, InputLayer("x", {2, 3}) + IpLayer("always", "x", 2) +
                             IpLayer("train", "x", 2, "include { phase: TRAIN }") +
                             IpLayer("deep", "x", 2, "include { min_level: 1 }") +
                             IpLayer("deploy", "x", 2, "include { stage: 'deploy' }"));
  Net<float> plain(path, TEST);
  EXPECT_EQ(plain.phase(), TEST);
  EXPECT_THAT(plain.layer_names(), ElementsAre("x", "always"));
  Net<float> train(path, TRAIN);
  EXPECT_EQ(train.phase(), TRAIN);
  EXPECT_TRUE(train.has_layer("train"));
  const std::vector<string> stages = {"deploy"};
  Net<float> all(path, TEST, 1, &stages);
  EXPECT_TRUE(all.has_layer("deep"));
  EXPECT_TRUE(all.has_layer("deploy"));
  EXPECT_FALSE(all.has_layer("train"));

  EXPECT_THAT(MessageOf<FileError>([&] { Net<float>(folder / "none.prototxt", TEST); }),
              HasSubstr("none.prototxt"));
  test::WriteBytes(path, IpLayer("ip", "x", 2));
  EXPECT_THAT(MessageOf<ValueError>([&] { Net<float>(path, TEST); }),
              AllOf(HasSubstr(path), HasSubstr("'ip'"), HasSubstr("'x'")));
}

TEST(NetSetUpTest, NamesBlobsInputsAndOutputs) {
  const auto net =
      MakeNet<double>("name: 'small' " + InputLayer("x", {2, 3}) +
                      InputLayer("t", {2, 4}) + IpLayer("ip", "x", 4) +
                      "layer { name: 'relu' type: 'ReLU' bottom: 'ip' top: 'ip' }" +
                      LossLayer("loss", "ip", "t") + IpLayer("side", "x", 5));
  EXPECT_EQ(net->name(), "small");
  EXPECT_THAT(net->layer_names(),
              ElementsAre("x", "x_x_0_split", "t", "ip", "relu", "loss", "side"));
  EXPECT_THAT(net->blob_names(), ElementsAre("x", "x_x_0_split_0", "x_x_0_split_1", "t",
                                             "ip", "loss", "side"));
  EXPECT_EQ(net->num_inputs(), 2);
  EXPECT_EQ(net->input_blobs()[1], net->blob_by_name("t").get());
  EXPECT_THAT(net->input_blob_indices(), ElementsAre(0, 3));
  EXPECT_EQ(net->num_outputs(), 2);
  EXPECT_EQ(net->output_blobs()[0], net->blob_by_name("loss").get());
  EXPECT_EQ(net->output_blobs()[1], net->blob_by_name("side").get());
  EXPECT_THAT(net->output_blob_indices(), ElementsAre(5, 6));
  EXPECT_EQ(net->top_vecs()[4], net->bottom_vecs()[4]) << "relu works in place";
  EXPECT_THAT(net->top_ids(1), ElementsAre(1, 2));
  EXPECT_THAT(net->bottom_ids(5), ElementsAre(4, 3));
  EXPECT_THROW(net->top_ids(7), ValueError);
  EXPECT_THROW(net->bottom_ids(-1), ValueError);
  EXPECT_EQ(net->blob_by_name("side")->shape(), (std::vector<int>{2, 5}));
  EXPECT_STREQ(net->layer_by_name("ip")->type(), "InnerProduct");
}

TEST(NetSetUpTest, AskingForAnUnknownNameGivesNothingAndWarnsOfTheClosest) {
  const auto net =
      MakeNet<double>(InputLayer("data", {2, 3}) + IpLayer("classifier", "data", 4));
  EXPECT_FALSE(net->has_blob("dat"));
  EXPECT_FALSE(net->has_layer("classifer"));
  CapturedLog log;
  EXPECT_EQ(net->blob_by_name("dat"), nullptr);
  EXPECT_EQ(net->layer_by_name("classifer"), nullptr);
  EXPECT_THAT(log.Texts("Unknown blob name dat"), ElementsAre(HasSubstr("'data'")));
  EXPECT_THAT(log.Texts("Unknown layer name classifer"),
              ElementsAre(HasSubstr("'classifier'")));
  EXPECT_THAT(log.severities(), Each(logging::glog::WARNING));
}

TEST(NetSetUpTest, ALayerWithoutItsTopGetsAnAnonymousOne) {
  const auto net = MakeNet<double>(
      InputLayer("x", {2, 3}) + InputLayer("t", {2, 4}) + IpLayer("ip", "x", 4) +
      "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'ip' bottom: 't' }");
  EXPECT_EQ(net->top_vecs()[3].size(), 1u);
  EXPECT_EQ(net->num_outputs(), 0);
  EXPECT_EQ(net->blob_names().back(), "(automatic)");
  EXPECT_TRUE(net->layer_need_backward()[2]);
}

// Nets of old generations may be built in memory as well as read from a file.
TEST(NetSetUpTest, OldDescriptionsInMemoryAreUpgraded) {
  const std::string old = R"(
    name: 'old' input: 'data' input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1
    layers { name: 'ip' type: INNER_PRODUCT bottom: 'data' top: 'ip' blobs_lr: 1 blobs_lr: 2
             inner_product_param { num_output: 4 } }
    layers { name: 'prob' type: SOFTMAX bottom: 'ip' top: 'prob' })";
  const auto net = MakeNet<float>(old, TEST);
  EXPECT_THAT(net->layer_names(), ElementsAre("input", "ip", "prob"));
  EXPECT_EQ(net->num_inputs(), 1);
  EXPECT_EQ(net->blob_by_name("prob")->shape(), (std::vector<int>{2, 4}));
  EXPECT_THAT(net->params_lr(), ElementsAre(1, 2));

  // SKNet's and GENet's spelling of CuDNNBatchNorm's parameters.
  const auto sknet =
      MakeNet<float>(InputLayer("x", {2, 3, 4, 4}) +
                         "layer { name: 'bn' type: 'CuDNNBatchNorm' bottom: 'x' top: 'bn'"
                         " batch_norm_param { frozen: true } }",
                     TRAIN);
  EXPECT_THAT(sknet->params_lr(), ElementsAre(0, 0, 0, 0));
}

TEST(NetSetUpTest, ErrorsNameLayerAndBlob) {
  const std::string x = InputLayer("data", {2, 3, 4, 4});
  EXPECT_THAT(NetError(x + IpLayer("ip", "dataa", 2)),
              AllOf(HasSubstr("layer 'ip' (InnerProduct): bottom[0]"),
                    HasSubstr("'dataa'"), HasSubstr("'data'")));
  EXPECT_THAT(NetError(x + IpLayer("a", "data", 2) +
                       "layer { name: 'b' type: 'TanH' bottom: 'a' top: 'data' }"),
              AllOf(HasSubstr("layer 'b' (TanH): top[0]"), HasSubstr("blob 'data'"),
                    HasSubstr("in-place")));
  EXPECT_THAT(
      NetError(x + "layer { name: 'c' type: 'Convolutions' bottom: 'data' top: 'c' }"),
      AllOf(HasSubstr("layer 'c'"), HasSubstr("'Convolutions'"),
            HasSubstr("'Convolution'")));
  EXPECT_THAT(NetError(InputLayer("a", {2, 3}) + x +
                       "layer { name: 'sk' type: 'Axpy' "
                       "bottom: 'a' bottom: 'data' top: 'sk' }"),
              AllOf(HasSubstr("layer 'sk' (Axpy): got 2 bottom blob(s), expected 3"),
                    HasSubstr("a ("), HasSubstr("x and y, in that order")));
  EXPECT_THAT(
      NetError(x + "layer { name: 'c' type: 'Convolution' bottom: 'data' top: 'c' "
                   "convolution_param { num_output: 2 } }"),
      HasSubstr("layer 'c' (Convolution)"));
  EXPECT_THAT(
      NetError(x + "layer { name: 'r' type: 'ReLU' bottom: 'data' top: 'a' top: 'b' }"),
      AllOf(HasSubstr("layer 'r' (ReLU): got 2 top blob(s)"), HasSubstr("expected 1")));
  EXPECT_THAT(
      NetError(x + IpLayer("ip", "data", 2, "param {} param {} param {}")),
      AllOf(HasSubstr("layer 'ip'"), HasSubstr("3 param"), HasSubstr("at most 2")));
  EXPECT_THAT(NetError(x + IpLayer("ip", "data", 2, "loss_weight: 1 loss_weight: 1")),
              AllOf(HasSubstr("layer 'ip'"), HasSubstr("2 loss_weight"),
                    HasSubstr("expected 1")));
  EXPECT_THAT(NetError(x + IpLayer("ip", "data", 2,
                                   "propagate_down: true propagate_down: false")),
              AllOf(HasSubstr("layer 'ip'"), HasSubstr("2 propagate_down"),
                    HasSubstr("expected 1")));
  EXPECT_THAT(NetError(x + IpLayer("ip", "data", 2, "blobs { shape { dim: 5 } }")),
              AllOf(HasSubstr("layer 'ip' (InnerProduct)"), HasSubstr("holds 0 values")));
}

// A blob that one layer changes in place and another reads has no defined value.
TEST(NetSetUpTest, InPlaceBesideAnotherReaderIsRefused) {
  EXPECT_THAT(NetError(InputLayer("x", {2, 3}) + IpLayer("ip", "x", 2) +
                       "layer { name: 'side' type: 'TanH' bottom: 'ip' top: 'side' }"
                       "layer { name: 'relu' type: 'ReLU' bottom: 'ip' top: 'ip' }"),
              AllOf(HasSubstr("layer 'relu' (ReLU): top[0]"), HasSubstr("blob 'ip'")));
}

TEST(NetSetUpTest, EqualSeedsGiveEqualWeights) {
  const std::string text =
      InputLayer("x", {2, 30}) + IpLayer("a", "x", 20) + IpLayer("b", "a", 10);
  const auto weights = [&](unsigned int seed) {
    const auto net = MakeNet<float>(text, TRAIN, seed);
    std::vector<float> values;
    for (const auto& blob : net->params()) {
      values.insert(values.end(), blob->cpu_data(), blob->cpu_data() + blob->count());
    }
    return values;
  };
  EXPECT_EQ(weights(3), weights(3));
  EXPECT_NE(weights(3), weights(4));
}

}  // namespace
}  // namespace caffe
