#include "caffe/solvers/output_means.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "net/net_fixture.hpp"

namespace caffe {
namespace {

using test::InputLayer;
using test::MakeNet;
using ::testing::ElementsAre;
using ::testing::Pair;

// Outputs a and b as they are fed, of which b enters the loss by half.
const std::string kText =
    InputLayer("x", {2}) + InputLayer("y", {1}) +
    "layer { name: 'a' type: 'Power' bottom: 'x' top: 'a' } "
    "layer { name: 'b' type: 'Reduction' bottom: 'y' top: 'b' loss_weight: 0.5 } ";

void Feed(Net<float>* net, float first, float second, float third) {
  net->input_blobs()[0]->mutable_cpu_data()[0] = first;
  net->input_blobs()[0]->mutable_cpu_data()[1] = second;
  net->input_blobs()[1]->mutable_cpu_data()[0] = third;
  net->Forward();
}

TEST(OutputMeansTest, EveryNumberHasItsMeanNameAndLine) {
  const auto net = MakeNet<float>(kText, TEST);
  OutputMeans<float> means(*net);
  Feed(net.get(), 1, -3, 8);
  means.Add(4);
  Feed(net.get(), 2, -1, 0);
  means.Add(0.5);
  EXPECT_EQ(means.loss(), 2.25);
  EXPECT_THAT(means.Named(), ElementsAre(Pair("a", 1.5f), Pair("a", -2), Pair("b", 4)));
  EXPECT_THAT(
      means.Lines("Test"),
      ElementsAre("    Test net output #0: a = 1.5", "    Test net output #1: a = -2",
                  "    Test net output #2: b = 4 (* 0.5 = 2 loss)"));
}

// Large and small numbers whose sum in float would lose the small ones.
TEST(OutputMeansTest, SumsAreInDouble) {
  const auto net = MakeNet<float>(kText, TEST);
  OutputMeans<float> means(*net);
  for (const float value : {16777216.f, 1.f, 1.f, -16777216.f}) {
    Feed(net.get(), value, 0, 0);
    means.Add(value);
  }
  EXPECT_EQ(means.Named()[0].second, 0.5f);
  EXPECT_EQ(means.loss(), 0.5f);
}

TEST(OutputMeansTest, WithoutAPassThereIsNothing) {
  const auto net = MakeNet<float>(kText, TEST);
  EXPECT_TRUE(OutputMeans<float>(*net).Named().empty());
  EXPECT_TRUE(OutputMeans<float>(*net).Lines("Test").empty());
}

}  // namespace
}  // namespace caffe
