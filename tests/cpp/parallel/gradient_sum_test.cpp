#include "caffe/parallel/gradient_sum.hpp"
#include "caffe/net/schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "fill.hpp"
#include "net/net_fixture.hpp"
#include "tolerance.hpp"

// When a parameter's sum starts, and of what.

namespace caffe {
namespace {

using test::ExpectClose;
using test::Half;
using test::InputLayer;
using test::IpLayer;
using test::LossLayer;
using test::MakeNet;
using test::OpKind;
using test::ToleranceOf;
using test::Values;
using testing::ElementsAre;

using DoubleNet = Net<double>;

/// Two ranks that have equal gradients, which a sum therefore doubles in Wait.
class TwinGroup final : public ProcessGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  void StartSum(float*, int) override { FAIL() << "the net is of doubles"; }
  void StartSum(double* values, int count) override {
    started.push_back(values);
    at_start.emplace_back(values, values + count);
  }
  void Advance() override { ++advances; }
  void Wait() override {
    for (size_t i = 0; i < started.size(); ++i) {
      const std::vector<double> now(started[i], started[i] + at_start[i].size());
      EXPECT_EQ(now, at_start[i]) << "sum " << i << " was started before its last change";
      for (double& value : at_start[i]) value *= 2;
      std::copy(at_start[i].begin(), at_start[i].end(), started[i]);
    }
    waited += static_cast<int>(started.size());
    started.clear();
    at_start.clear();
  }
  void Broadcast(void*, std::size_t, int) override {}
  void Leave() override {}
  void Finish() override {}

  std::vector<double*> started;
  std::vector<std::vector<double>> at_start;
  int advances = 0;
  int waited = 0;
};

void RunOnce(DoubleNet* net) {
  for (int i = 0; i < net->num_inputs(); ++i) test::Fill(net->input_blobs()[i], 10 + i);
  net->ClearParamDiffs();
  net->ForwardBackward();
}

std::vector<std::vector<double>> Gradients(const DoubleNet& net) {
  std::vector<std::vector<double>> gradients;
  for (const Blob<double>* param : net.learnable_params()) {
    gradients.push_back(Values(*param, Half::kDiff));
  }
  return gradients;
}

const std::string kInputs = InputLayer("x", {3, 4}) + InputLayer("t", {3, 4});
const std::string kShared = "param { name: 'w' } param { name: 'b' }";
const std::string kText = kInputs + IpLayer("a", "x", 4, kShared) + IpLayer("m", "a", 4) +
                          IpLayer("b", "m", 4, kShared) + LossLayer("loss", "b", "t") +
                          IpLayer("side", "x", 5);  // reaches no loss

TEST(GradientSumTest, EveryGradientIsSummedOnceAndComplete) {
  const auto plain = MakeNet<double>(kText);
  RunOnce(plain.get());
  const auto net = MakeNet<double>(kText);
  TwinGroup group;
  GradientSum<double> sum(net.get(), &group);
  for (int repeat = 0; repeat < 2; ++repeat) {
    sum.SumInNextBackward();
    RunOnce(net.get());
    // Halves and doubles are exact.
    EXPECT_EQ(Gradients(*net), Gradients(*plain));
    EXPECT_EQ(group.waited, 4 * (repeat + 1)) << "weight and bias of m; w and b once";
    EXPECT_GT(group.advances, 0);
  }
  RunOnce(net.get());
  EXPECT_EQ(group.waited, 8) << "this pass was not asked for";
  sum.SumNow();
  EXPECT_EQ(group.waited, 12);
  EXPECT_EQ(Gradients(*net), Gradients(*plain));
}

TEST(GradientSumTest, SumsStartInBackwardNotAfterIt) {
  const auto net = MakeNet<double>(kText);
  TwinGroup group;
  GradientSum<double> sum(net.get(), &group);
  const int layers = static_cast<int>(net->layers().size());
  sum.SumInNextBackward();
  for (int i = 0; i < net->num_inputs(); ++i) test::Fill(net->input_blobs()[i], 10 + i);
  net->ClearParamDiffs();
  net->Forward();
  std::vector<int> started;
  for (int i = layers - 1; i >= 1; --i) {
    net->BackwardFromTo(i, i);
    const std::string& name = net->layer_names()[i];
    if (name == "a" || name == "m" || name == "b") {
      started.push_back(static_cast<int>(group.started.size()));
    }
  }
  EXPECT_THAT(started, ElementsAre(0, 2, 4)) << "behind b, m and a";
  net->BackwardFromTo(0, 0);
  EXPECT_EQ(group.waited, 4);
}

TEST(GradientSumTest, OrderTellsNetsApart) {
  TwinGroup group;
  const auto order = [&group](const std::string& text) {
    const auto net = MakeNet<double>(text);
    return GradientSum<double>(net.get(), &group).Order();
  };
  EXPECT_EQ(order(kText), "(4, 4) (4,) (4, 4) (4,) ");
  const std::string loss = LossLayer("loss", "a", "t");
  EXPECT_EQ(order(kInputs + IpLayer("a", "x", 4) + loss), "(4, 4) (4,) ");
}

// Its callback is gone when it is, and the net goes on without.
TEST(GradientSumTest, LeavesTheNetWhenDestroyed) {
  const auto net = MakeNet<double>(kText);
  TwinGroup group;
  {
    GradientSum<double> sum(net.get(), &group);
    sum.SumInNextBackward();
    EXPECT_EQ(net->after_backward().size(), 1u);
  }
  EXPECT_TRUE(net->after_backward().empty());
  RunOnce(net.get());
  EXPECT_EQ(group.waited, 0);
}

TEST(GradientSumTest, BatchNormsKeepTheirReLU) {
  const std::string text =
      InputLayer("x", {2, 3, 4, 4}) + InputLayer("t", {2, 3, 4, 4}) +
      "layer { name: 'bn' type: 'CuDNNBatchNorm' bottom: 'x' top: 'bn' } "
      "layer { name: 'relu' type: 'ReLU' bottom: 'bn' top: 'bn' } " +
      LossLayer("loss", "bn", "t");
  const auto plain = MakeNet<double>(text);
  RunOnce(plain.get());
  const auto net = MakeNet<double>(text);
  TwinGroup group;
  GradientSum<double> sum(net.get(), &group);
  sum.SumInNextBackward();
  RunOnce(net.get());
  EXPECT_EQ(net->schedule().size() + 1, static_cast<int>(net->layers().size()));
  EXPECT_EQ(Gradients(*net), Gradients(*plain));
}

}  // namespace
}  // namespace caffe
