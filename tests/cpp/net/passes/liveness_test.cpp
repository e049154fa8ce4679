#include "caffe/net/passes/liveness.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "net/passes/hand_made_graph.hpp"

namespace caffe {
namespace test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// data -> a -> b -> loss, with what Backward reads.
struct Chain : HandMadeGraph {
  explicit Chain(Reads second, Phase phase = TRAIN) : HandMadeGraph(phase) {
    data = Blob();
    a = Blob();
    b = Blob();
    loss = Blob();
    facts.is_result[loss] = true;
    Layer({}, {data}, kReadsNothing, false, false);
    Layer({data}, {a}, kReadsBottoms);
    Layer({a}, {b}, second);
    Layer({b}, {loss}, kReadsNothing);
  }
  int data, a, b, loss;
};

TEST(LivenessTest, DataIsFreedAfterItsLastUse) {
  Chain graph(kReadsNothing);
  Liveness(graph.facts, graph.Uses(), &graph.steps);
  // data comes from outside and loss is looked at; nobody reads a and b backward.
  EXPECT_THAT(graph.steps[2].free_after_forward, ElementsAre(graph.a));
  EXPECT_THAT(graph.steps[3].free_after_forward, ElementsAre(graph.b));
  for (const Step& step : graph.steps) {
    EXPECT_THAT(step.free_after_backward, IsEmpty());
  }
}

TEST(LivenessTest, WhatBackwardReadsLivesUntilThen) {
  Chain reads_bottom(kReadsBottoms), reads_top(kReadsTops);
  Liveness(reads_bottom.facts, reads_bottom.Uses(), &reads_bottom.steps);
  EXPECT_THAT(reads_bottom.steps[2].free_after_forward, IsEmpty());
  EXPECT_THAT(reads_bottom.steps[2].free_after_backward, ElementsAre(reads_bottom.a));
  EXPECT_THAT(reads_bottom.steps[3].free_after_forward, ElementsAre(reads_bottom.b));
  Liveness(reads_top.facts, reads_top.Uses(), &reads_top.steps);
  EXPECT_THAT(reads_top.steps[2].free_after_forward, ElementsAre(reads_top.a));
  EXPECT_THAT(reads_top.steps[2].free_after_backward, ElementsAre(reads_top.b));
}

TEST(LivenessTest, WithoutBackwardAllDiesForward) {
  Chain graph(kReadsBottoms, TEST);
  Liveness(graph.facts, graph.Uses(), &graph.steps);
  EXPECT_THAT(graph.steps[2].free_after_forward, ElementsAre(graph.a));
  EXPECT_THAT(graph.steps[3].free_after_forward, ElementsAre(graph.b));
}

TEST(LivenessTest, OfALayerThatTellsNothingAllStays) {
  Chain graph(kTellsNothing);
  Liveness(graph.facts, graph.Uses(), &graph.steps);
  for (const Step& step : graph.steps) {
    EXPECT_THAT(step.free_after_forward, IsEmpty());
    EXPECT_THAT(step.free_after_backward, IsEmpty());
  }
}

TEST(LivenessTest, BlobsThatSomebodyElseWantsStay) {
  Chain graph(kReadsNothing);
  Liveness(graph.facts, graph.Uses({graph.a}), &graph.steps);
  EXPECT_THAT(graph.steps[2].free_after_forward, IsEmpty());
  EXPECT_THAT(graph.steps[3].free_after_forward, ElementsAre(graph.b));
}

// A view is used later than what it is a view of.
TEST(LivenessTest, OneMemoryDiesOnce) {
  HandMadeGraph graph;
  const int data = graph.Blob(), a = graph.Blob(), left = graph.Blob(100, a),
            right = graph.Blob(100, a), b = graph.Blob(), c = graph.Blob();
  graph.Layer({}, {data}, kReadsNothing, false, false);
  graph.Layer({data}, {a}, kReadsNothing);
  graph.Layer({a}, {left, right}, kReadsNothing);
  graph.Layer({left}, {b}, kReadsNothing);
  graph.Layer({right}, {c}, kReadsBottoms);
  Liveness(graph.facts, graph.Uses(), &graph.steps);
  EXPECT_THAT(graph.steps[3].free_after_forward, ElementsAre(b));
  EXPECT_THAT(graph.steps[4].free_after_forward, ElementsAre(c));
  EXPECT_THAT(graph.steps[4].free_after_backward, ElementsAre(a));
}

// The gradient of a blob is of use until the layer that wrote it first has run.
TEST(LivenessTest, GradientsDieWithTheirWriter) {
  HandMadeGraph graph;
  const int data = graph.Blob(), a = graph.Blob(), loss = graph.Blob();
  graph.facts.is_result[loss] = true;
  graph.Layer({}, {data}, kReadsNothing, false, false);
  graph.Layer({data}, {a}, kReadsNothing);
  graph.Layer({a}, {a}, kReadsNothing);  // in place
  graph.Layer({a}, {loss}, kReadsNothing);
  Liveness(graph.facts, graph.Uses(), &graph.steps);
  EXPECT_THAT(graph.steps[1].free_diffs, ElementsAre(a));
  for (int other : {0, 2, 3}) {
    EXPECT_THAT(graph.steps[other].free_diffs, IsEmpty()) << other;
  }
}

TEST(LivenessTest, RecomputedDataIsFreedTwice) {
  Chain graph(kReadsBottoms);
  // Before step 3 runs backward, a is written again by step 1, from data.
  graph.steps[3].recompute_before.push_back({graph.a, {1}, {}});
  Liveness(graph.facts, graph.Uses(), &graph.steps);
  EXPECT_THAT(graph.steps[2].free_after_forward, ElementsAre(graph.a));
  EXPECT_THAT(graph.steps[2].free_after_backward, ElementsAre(graph.a));
  EXPECT_THAT(graph.steps[3].recompute_before[0].free, IsEmpty()) << "data is kept";
}

TEST(UsesTest, NameWritersReadersAndSources) {
  HandMadeGraph graph;
  const int data = graph.Blob(), a = graph.Blob(), b = graph.Blob();
  graph.Layer({}, {data}, kReadsNothing, false, false);
  graph.Layer({data}, {a}, kReadsBottoms);
  graph.Layer({a}, {a}, kReadsTops);
  graph.Layer({a, data}, {b}, kReadsBottoms);
  const std::vector<GroupUse> uses = graph.Uses();
  EXPECT_THAT(uses[a].writers, ElementsAre(1, 2));
  EXPECT_THAT(uses[a].readers, ElementsAre(2, 3));
  EXPECT_EQ(uses[a].last_forward, 3);
  EXPECT_FALSE(uses[a].kept);
  EXPECT_TRUE(uses[data].kept);
  EXPECT_THAT(SourcesOf(graph.facts, graph.steps[3], b), UnorderedElementsAre(a, data));
  EXPECT_THAT(SourcesOf(graph.facts, graph.steps[2], a), IsEmpty());
}

}  // namespace
}  // namespace test
}  // namespace caffe
