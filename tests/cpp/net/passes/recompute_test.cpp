#include "caffe/net/passes/recompute.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "net/passes/hand_made_graph.hpp"

namespace caffe {
namespace test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// data -> x (a convolution) -> y (a norm, cheap) -> z (another convolution).
struct Norm : HandMadeGraph {
  explicit Norm(bool cheap = true, bool x_is_read = true) {
    data = Blob();
    x = Blob();
    y = Blob();
    z = Blob();
    Layer({}, {data}, kReadsNothing, false, false);
    Layer({data}, {x}, kReadsBottoms);
    Layer({x}, {y}, x_is_read ? kReadsBottoms : kReadsNothing, cheap);
    Layer({y}, {z}, kReadsBottoms);
  }
  void Run(const std::vector<int>& kept = {}) { Recompute(facts, Uses(kept), &steps); }
  int data, x, y, z;
};

TEST(RecomputeTest, CheapDataIsWrittenAgainBeforeItsFirstReader) {
  Norm graph;
  graph.Run();
  ASSERT_EQ(graph.steps[3].recompute_before.size(), 1u);
  EXPECT_EQ(graph.steps[3].recompute_before[0].group, graph.y);
  EXPECT_THAT(graph.steps[3].recompute_before[0].writers, ElementsAre(2));
  EXPECT_THAT(graph.steps[2].recompute_before, IsEmpty()) << "x is kept for it";
}

TEST(RecomputeTest, DearDataStays) {
  Norm graph(false);
  graph.Run();
  for (const Step& step : graph.steps) EXPECT_THAT(step.recompute_before, IsEmpty());
}

TEST(RecomputeTest, WhatIsKeptAnywayIsNotWrittenAgain) {
  Norm graph;
  graph.Run({graph.y});
  EXPECT_THAT(graph.steps[3].recompute_before, IsEmpty());
}

// To keep x for y would cost as much as to keep y.
TEST(RecomputeTest, ASourceThatNobodyElseWantsIsNotKeptForIt) {
  Norm graph(true, false);
  graph.Run();
  EXPECT_THAT(graph.steps[3].recompute_before, IsEmpty());
}

TEST(RecomputeTest, ASmallSourceIsKeptForIt) {
  Norm graph(true, false);
  graph.facts.bytes[graph.x] = graph.facts.bytes[graph.y] / 16;
  graph.Run();
  ASSERT_EQ(graph.steps[3].recompute_before.size(), 1u);
  EXPECT_EQ(graph.steps[3].recompute_before[0].group, graph.y);
}

// x changes in place after y was computed from it.
TEST(RecomputeTest, ASourceThatHasChangedIsOfNoUse) {
  HandMadeGraph graph;
  const int data = graph.Blob(), x = graph.Blob(), y = graph.Blob(), z = graph.Blob();
  graph.Layer({}, {data}, kReadsNothing, false, false);
  graph.Layer({data}, {x}, kReadsBottoms);
  graph.Layer({x}, {y}, kReadsBottoms, true);
  graph.Layer({x}, {x}, kReadsNothing, true);
  graph.Layer({y, x}, {z}, kReadsBottoms);
  Recompute(graph.facts, graph.Uses(), &graph.steps);
  for (const Step& step : graph.steps) {
    for (const Step::Recomputation& again : step.recompute_before) {
      EXPECT_NE(again.group, y);
    }
  }
}

// y = norm(x), s = y + x, read by a convolution: y is read by nobody, and comes first.
TEST(RecomputeTest, SourcesAreWrittenAgainFirst) {
  HandMadeGraph graph;
  const int data = graph.Blob(), x = graph.Blob(), y = graph.Blob(), s = graph.Blob(),
            z = graph.Blob();
  graph.Layer({}, {data}, kReadsNothing, false, false);
  graph.Layer({data}, {x}, kReadsBottoms);
  graph.Layer({x}, {y}, kReadsBottoms, true);
  graph.Layer({y, x}, {s}, kReadsNothing, true);
  graph.Layer({s}, {z}, kReadsBottoms);
  Recompute(graph.facts, graph.Uses(), &graph.steps);
  // 2 for y, 3 for s: five times the bytes of s, at most six.
  ASSERT_EQ(graph.steps[4].recompute_before.size(), 2u);
  EXPECT_EQ(graph.steps[4].recompute_before[0].group, y);
  EXPECT_EQ(graph.steps[4].recompute_before[1].group, s);
}

TEST(RecomputeTest, ALongWayIsNotGone) {
  HandMadeGraph graph;
  const int data = graph.Blob();
  std::vector<int> chain = {graph.Blob()};
  graph.Layer({}, {data}, kReadsNothing, false, false);
  graph.Layer({data}, {chain[0]}, kReadsBottoms);
  // Each moves twice its bytes: three links are six times, four are eight.
  for (int i = 0; i < 4; ++i) {
    chain.push_back(graph.Blob());
    graph.Layer({chain[i]}, {chain[i + 1]}, i == 0 ? kReadsBottoms : kReadsNothing, true);
  }
  const int end = graph.Blob();
  graph.Layer({chain[4]}, {end}, kReadsBottoms);
  Recompute(graph.facts, graph.Uses(), &graph.steps);
  EXPECT_THAT(graph.steps.back().recompute_before, IsEmpty());
}

}  // namespace
}  // namespace test
}  // namespace caffe
