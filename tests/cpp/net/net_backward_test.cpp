#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caffe/net.hpp"
#include "fill.hpp"
#include "net/net_fixture.hpp"
#include "tolerance.hpp"

// Which layers run backward, loss weights, and parameters used more than once.

namespace caffe {
namespace {

using test::ExpectClose;
using test::Half;
using test::InputLayer;
using test::IpLayer;
using test::LossLayer;
using test::MakeNet;
using test::NetError;
using test::OpKind;
using test::ToleranceOf;
using test::Values;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using DoubleNet = Net<double>;

const std::string kInputs = InputLayer("x", {3, 4}) + InputLayer("t", {3, 2});

void FillInputs(DoubleNet* net) {
  for (int i = 0; i < net->num_inputs(); ++i) test::Fill(net->input_blobs()[i], 10 + i);
}

/// Forward, then backward from cleared parameter diffs; returns the loss.
double RunOnce(DoubleNet* net) {
  FillInputs(net);
  net->ClearParamDiffs();
  return net->ForwardBackward();
}

bool NeedsBackward(const DoubleNet& net, const std::string& layer) {
  for (size_t i = 0; i < net.layer_names().size(); ++i) {
    if (net.layer_names()[i] == layer) return net.layer_need_backward()[i];
  }
  ADD_FAILURE() << "no layer " << layer;
  return false;
}

std::vector<double> WeightDiff(const DoubleNet& net, const std::string& layer,
                               int blob = 0) {
  return Values(*net.layer_by_name(layer)->blobs()[blob], Half::kDiff);
}

void SetWeights(DoubleNet* net, const std::string& layer, int case_id) {
  for (auto& blob : net->layer_by_name(layer)->blobs()) test::Fill(blob.get(), case_id);
}

TEST(NetBackwardTest, OnlyWhatLeadsFromParametersToALossRuns) {
  const auto net = MakeNet<double>(
      kInputs + IpLayer("ip1", "x", 5) + IpLayer("ip2", "ip1", 2) +
      LossLayer("loss", "ip2", "t") + IpLayer("side", "x", 5) +  // reaches no loss
      "layer { name: 'fixed' type: 'TanH' bottom: 'x' top: 'fixed' }");
  EXPECT_FALSE(NeedsBackward(*net, "x"));
  EXPECT_TRUE(NeedsBackward(*net, "ip1"));
  EXPECT_TRUE(NeedsBackward(*net, "ip2"));
  EXPECT_TRUE(NeedsBackward(*net, "loss"));
  EXPECT_FALSE(NeedsBackward(*net, "side"));
  EXPECT_FALSE(NeedsBackward(*net, "fixed"));
  EXPECT_FALSE(net->bottom_need_backward()[3][0])
      << "nobody asks for the data's gradient";
  RunOnce(net.get());
  EXPECT_EQ(WeightDiff(*net, "side"), std::vector<double>(20, 0));
  EXPECT_NE(WeightDiff(*net, "ip1"), std::vector<double>(20, 0));
  EXPECT_EQ(net->blob_by_name("x")->diff()->head(), SyncedMemory::UNINITIALIZED);
}

TEST(NetBackwardTest, FrozenLayersBelowTheFirstLearningOneAreLeftOut) {
  const std::string frozen = "param { lr_mult: 0 } param { lr_mult: 0 }";
  const auto net = MakeNet<double>(
      kInputs + IpLayer("ip1", "x", 5, frozen) + IpLayer("ip2", "ip1", 4) +
      IpLayer("ip3", "ip2", 2, frozen) + LossLayer("loss", "ip3", "t"));
  EXPECT_FALSE(NeedsBackward(*net, "ip1"));
  EXPECT_TRUE(NeedsBackward(*net, "ip2"));
  EXPECT_TRUE(NeedsBackward(*net, "ip3")) << "it passes the gradient on";
  RunOnce(net.get());
  EXPECT_EQ(WeightDiff(*net, "ip3"), std::vector<double>(8, 0));
  EXPECT_NE(WeightDiff(*net, "ip2"), std::vector<double>(20, 0));
}

TEST(NetBackwardTest, PropagateDownFalseCutsTheBranch) {
  const std::string text = kInputs + IpLayer("a", "x", 2) + IpLayer("b", "x", 2);
  for (const bool first : {true, false}) {
    const auto net = MakeNet<double>(
        text + LossLayer("loss", "a", "b",
                         first ? "propagate_down: true propagate_down: false"
                               : "propagate_down: false propagate_down: true"));
    EXPECT_EQ(NeedsBackward(*net, "a"), first);
    EXPECT_EQ(NeedsBackward(*net, "b"), !first);
    RunOnce(net.get());
    EXPECT_EQ(WeightDiff(*net, "a") == std::vector<double>(8, 0), !first);
    EXPECT_EQ(WeightDiff(*net, "b") == std::vector<double>(8, 0), first);
  }
}

TEST(NetBackwardTest, PropagateDownTrueAsksForTheDatasGradient) {
  const auto net =
      MakeNet<double>(kInputs + IpLayer("ip", "x", 2, "propagate_down: true") +
                      LossLayer("loss", "ip", "t"));
  RunOnce(net.get());
  EXPECT_NE(Values(*net->blob_by_name("x"), Half::kDiff), std::vector<double>(12, 0));
}

TEST(NetBackwardTest, ForceBackwardReachesTheInputsButNoLabels) {
  const auto net = MakeNet<double>(
      "force_backward: true " + InputLayer("x", {3, 4}) + InputLayer("label", {3}) +
      IpLayer("ip", "x", 2, "param { lr_mult: 0 } param { lr_mult: 0 }") +
      "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: "
      "'loss' }");
  EXPECT_THAT(net->bottom_need_backward()[2], ElementsAre(true));
  EXPECT_THAT(net->bottom_need_backward()[3], ElementsAre(true, false));
  test::Fill(net->input_blobs()[0], 1);
  test::FillIntegers(net->input_blobs()[1], 2, 0, 1);
  net->ClearParamDiffs();
  net->ForwardBackward();
  EXPECT_NE(Values(*net->blob_by_name("x"), Half::kDiff), std::vector<double>(12, 0));
  EXPECT_NE(WeightDiff(*net, "ip"), std::vector<double>(8, 0))
      << "forced on parameters too";
}

// Weights that are powers of two scale loss and gradients without rounding.
TEST(NetBackwardTest, LossWeightScalesLossAndGradients) {
  const auto make = [](const std::string& more) {
    return MakeNet<double>(kInputs + IpLayer("ip", "x", 2) +
                           LossLayer("loss", "ip", "t", more));
  };
  const auto plain = make("");
  EXPECT_THAT(plain->blob_loss_weights(), ElementsAre(0, 0, 0, 1));
  const double loss = RunOnce(plain.get());
  EXPECT_GT(loss, 0);
  for (const double weight : {1.0, 0.5, 4.0, -2.0}) {
    const auto net = make(Str("loss_weight: ", weight));
    EXPECT_EQ(net->blob_loss_weights()[3], weight);
    EXPECT_EQ(RunOnce(net.get()), weight * loss);
    auto want = WeightDiff(*plain, "ip");
    for (double& value : want) value *= weight;
    EXPECT_EQ(WeightDiff(*net, "ip"), want) << weight;
    EXPECT_EQ(net->blob_by_name("loss")->cpu_data()[0], loss) << "the blob is unweighted";
  }
  const auto none = make("loss_weight: 0");
  EXPECT_EQ(RunOnce(none.get()), 0);
  EXPECT_FALSE(NeedsBackward(*none, "ip"));
}

// The weight of a loss that another layer reads moves behind a Split; the loss layer does
// not take its default for it then.
TEST(NetBackwardTest, ALossThatIsReadCountsOnce) {
  const std::string text = kInputs + IpLayer("ip", "x", 2);
  const auto plain = MakeNet<double>(text + LossLayer("loss", "ip", "t"));
  const auto read =
      MakeNet<double>(text + LossLayer("loss", "ip", "t", "loss_weight: 2") +
                      "layer { name: 'double' type: 'Power' top: 'double' "
                      "bottom: 'loss' power_param { scale: 2 } }");
  EXPECT_EQ(RunOnce(read.get()), 2 * RunOnce(plain.get()));
  auto want = WeightDiff(*plain, "ip");
  for (double& value : want) value *= 2;
  EXPECT_EQ(WeightDiff(*read, "ip"), want);
}

// A power of two changes exponents alone.
TEST(NetBackwardTest, LossScaleMultipliesGradientsAndNotTheLoss) {
  const std::string text = kInputs + IpLayer("ip1", "x", 3) + IpLayer("ip2", "ip1", 2) +
                           LossLayer("loss", "ip2", "t", "loss_weight: 3");
  const auto net = MakeNet<double>(text);
  const double loss = RunOnce(net.get());
  const std::vector<double> once = WeightDiff(*net, "ip1");
  std::vector<double> scaled = once;
  for (double& value : scaled) value *= 1024;
  net->set_loss_scale(1024);
  for (int repeat = 0; repeat < 2; ++repeat) {
    EXPECT_EQ(RunOnce(net.get()), loss);
    EXPECT_EQ(WeightDiff(*net, "ip1"), scaled);
  }
  net->set_loss_scale(1);
  EXPECT_EQ(RunOnce(net.get()), loss);
  EXPECT_EQ(WeightDiff(*net, "ip1"), once);
}

// Any blob may enter the objective, even one that another layer reads.
TEST(NetBackwardTest, LossesAddUp) {
  const std::string weighted = "loss_weight: 3";
  const auto sum = MakeNet<double>(kInputs + IpLayer("ip", "x", 2, weighted));
  const auto square =
      MakeNet<double>(kInputs + IpLayer("ip", "x", 2) + LossLayer("loss", "ip", "t"));
  const auto both = MakeNet<double>(kInputs + IpLayer("ip", "x", 2, weighted) +
                                    LossLayer("loss", "ip", "t"));
  const double loss = RunOnce(sum.get());
  double want_sum = 0;
  for (double y : Values(*sum->blob_by_name("ip"))) want_sum += 3 * y;
  const auto tolerance = ToleranceOf<double>(OpKind::kReduction, 12);
  ExpectClose({loss}, {want_sum}, tolerance, "weighted sum");
  ExpectClose({RunOnce(both.get())}, {loss + RunOnce(square.get())}, tolerance,
              "both losses");
  for (int blob = 0; blob < 2; ++blob) {
    auto want = WeightDiff(*sum, "ip", blob);
    const auto other = WeightDiff(*square, "ip", blob);
    for (size_t i = 0; i < want.size(); ++i) want[i] += other[i];
    ExpectClose(WeightDiff(*both, "ip", blob), want, tolerance, "gradient");
  }
}

// The weight of a loss lies in the diff of its top, which is new memory after growth.
TEST(NetBackwardTest, ALossTopMayGrow) {
  const auto net = MakeNet<double>(
      InputLayer("x", {2, 3}) +
      "layer { name: 'y' type: 'Power' bottom: 'x' top: 'y' loss_weight: 2 }");
  for (const int rows : {2, 7, 4, 7}) {
    net->input_blobs()[0]->Reshape({rows, 3});
    test::FillWith(net->input_blobs()[0], Half::kData, [](int) { return 0.5; });
    double loss = 0;
    net->Forward(&loss);
    EXPECT_EQ(loss, 2 * 0.5 * 3 * rows);
  }
}

TEST(NetBackwardTest, UpdateSubtractsTheDiffs) {
  const auto net =
      MakeNet<double>(kInputs + IpLayer("ip", "x", 2) + LossLayer("loss", "ip", "t"));
  RunOnce(net.get());
  auto want = Values(*net->params()[0]);
  const auto diff = WeightDiff(*net, "ip");
  for (size_t i = 0; i < want.size(); ++i) want[i] -= diff[i];
  net->Update();
  EXPECT_EQ(Values(*net->params()[0]), want);
  net->ClearParamDiffs();
  EXPECT_EQ(WeightDiff(*net, "ip"), std::vector<double>(8, 0));
}

std::string Shared(const std::string& name, const std::string& more = "") {
  return Str("param { name: '", name, "' ", more, " }");
}

TEST(NetSharingTest, OneNameIsOneMemory) {
  const std::string square = InputLayer("x", {3, 4}) + InputLayer("t", {3, 4});
  const std::string loss = LossLayer("loss", "b", "t");
  const auto shared = MakeNet<double>(square + IpLayer("a", "x", 4, Shared("w")) +
                                      IpLayer("b", "a", 4, Shared("w")) + loss);
  const auto apart =
      MakeNet<double>(square + IpLayer("a", "x", 4) + IpLayer("b", "a", 4) + loss);

  const Blob<double>& first = *shared->layer_by_name("a")->blobs()[0];
  const Blob<double>& second = *shared->layer_by_name("b")->blobs()[0];
  EXPECT_EQ(first.data(), second.data());
  EXPECT_EQ(first.diff(), second.diff());
  EXPECT_EQ(shared->params().size(), 4u);
  EXPECT_EQ(shared->learnable_params().size(), 3u);
  EXPECT_THAT(shared->param_owners(), ElementsAre(-1, -1, 0, -1));
  EXPECT_THAT(shared->param_display_names(), ElementsAre("w", "1", "w", "1"));
  EXPECT_EQ(shared->param_names_index().at("w"), 0);

  // With equal weights, the shared gradient is the sum of both.
  for (DoubleNet* net : {shared.get(), apart.get()}) {
    SetWeights(net, "a", 1);
    SetWeights(net, "b", 1);
  }
  const auto tolerance = ToleranceOf<double>(OpKind::kReduction, 24);
  ExpectClose({RunOnce(shared.get())}, {RunOnce(apart.get())}, tolerance, "loss");
  auto want = WeightDiff(*apart, "a");
  const auto other = WeightDiff(*apart, "b");
  for (size_t i = 0; i < want.size(); ++i) want[i] += other[i];
  ExpectClose(WeightDiff(*shared, "a"), want, tolerance, "summed gradient");

  // Updated once, not once for every user.
  auto updated = Values(first);
  const auto diff = WeightDiff(*shared, "a");
  for (size_t i = 0; i < updated.size(); ++i) updated[i] -= diff[i];
  shared->Update();
  EXPECT_EQ(Values(second), updated);
}

TEST(NetSharingTest, ShapesMustAgreeUnlessPermissive) {
  const std::string strict = Shared("w"), loose = Shared("w", "share_mode: PERMISSIVE");
  const std::string first = IpLayer("a", "x", 6, strict);  // (6, 4)
  const std::string reader = InputLayer("y", {3, 8});
  EXPECT_THAT(NetError(kInputs + reader + first + IpLayer("b", "y", 3, strict)),
              AllOf(HasSubstr("layer 'b'"), HasSubstr("'w'"), HasSubstr("layer 'a'"),
                    HasSubstr("(3, 8)"), HasSubstr("(6, 4)"), HasSubstr("PERMISSIVE")));
  EXPECT_EQ(NetError(kInputs + reader + first + IpLayer("b", "y", 3, loose)), "");
  EXPECT_THAT(NetError(kInputs + reader + first + IpLayer("b", "y", 4, loose)),
              AllOf(HasSubstr("layer 'b'"), HasSubstr("(4, 8)"), HasSubstr("(6, 4)"),
                    HasSubstr("equal count")));
}

TEST(NetSharingTest, RatesMayBeGivenOnceAndMayNotConflict) {
  const auto text = [](const std::string& a, const std::string& b) {
    return kInputs + IpLayer("a", "x", 4, Shared("w", a)) +
           IpLayer("b", "x", 4, Shared("w", b));
  };
  EXPECT_THAT(NetError(text("lr_mult: 2", "lr_mult: 3")),
              AllOf(HasSubstr("layer 'b'"), HasSubstr("'w'"), HasSubstr("lr_mult 3"),
                    HasSubstr("expected 2"), HasSubstr("layer 'a'")));
  EXPECT_THAT(NetError(text("decay_mult: 0", "decay_mult: 1")),
              AllOf(HasSubstr("decay_mult 1"), HasSubstr("expected 0")));
  for (const bool first : {true, false}) {
    const std::string given = "lr_mult: 2 decay_mult: 0.5";
    const auto net = MakeNet<double>(first ? text(given, "") : text("", given));
    EXPECT_THAT(net->params_lr(), ElementsAre(2, 1, 1));
    EXPECT_THAT(net->params_weight_decay(), ElementsAre(0.5, 1, 1));
    EXPECT_THAT(net->has_params_lr(), ElementsAre(true, false, false));
    EXPECT_THAT(net->has_params_decay(), ElementsAre(true, false, false));
  }
  EXPECT_EQ(NetError(text("lr_mult: 2", "lr_mult: 2")), "");
}

}  // namespace
}  // namespace caffe
