#include "caffe/solvers/training_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "parallel/thread_group.hpp"
#include "solvers/solver_fixture.hpp"

// What solvers in a group agree on, and how often they talk for it.

namespace caffe {
namespace {

using test::MessageOf;
using test::ThreadGroup;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kRanks = 3;

// A net of two parameters, of 5 and 2 values, with other weights and gradients for
// another `script`.
std::unique_ptr<Net<double>> NewNet(int script, const std::string& shapes) {
  NetParameter param;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      Str("layer { name: 'l' type: 'ScriptedLoss' top: 'loss' power_param { shift: ",
          script, " } dummy_data_param { ", shapes, " } }"),
      &param));
  param.mutable_state()->set_phase(TRAIN);
  return std::make_unique<Net<double>>(param);
}
const std::string kShapes = "shape { dim: 5 } shape { dim: 2 }";

TEST(TrainingGroupTest, GradientsAndLossAreMeansInOneSumForEveryParameter) {
  ThreadGroup::Run(kRanks, [](ThreadGroup* processes) {
    const int rank = processes->rank();
    const auto net = NewNet(rank, kShapes);
    TrainingGroup<double> group(processes);
    group.MatchNets(net.get());
    for (int step = 0; step < 2; ++step) {
      net->ClearParamDiffs();
      double loss;
      net->Forward(&loss);
      EXPECT_EQ(loss, rank + step);
      processes->sums.clear();
      group.AverageInNextBackward(&loss);
      net->Backward();
      // The loss goes with the smaller parameter.
      EXPECT_THAT(processes->sums, ElementsAre(5, 3));
      EXPECT_EQ(loss, (0 + 1 + 2) / 3.0 + step);
      for (int p = 0; p < 2; ++p) {
        const Blob<double>& param = *net->learnable_params()[p];
        for (int i = 0; i < param.count(); ++i) {
          double sum = 0;
          for (int script = 0; script < kRanks; ++script) {
            sum += test::ScriptedGradient(script, step, p, i) * (1.0 / kRanks);
          }
          EXPECT_EQ(param.cpu_diff()[i], sum);
        }
      }
    }
  });
}

TEST(TrainingGroupTest, ALossWithoutParametersIsSummedByItself) {
  ThreadGroup::Run(kRanks, [](ThreadGroup* processes) {
    const auto net = NewNet(processes->rank(), "");
    TrainingGroup<double> group(processes);
    group.MatchNets(net.get());
    double loss;
    net->Forward(&loss);
    group.AverageInNextBackward(&loss);
    net->Backward();
    EXPECT_THAT(processes->sums, ElementsAre(1));
    EXPECT_EQ(loss, 1);
  });
}

TEST(TrainingGroupTest, RequestsOfAllAreOneSum) {
  // Who asks for what, and what all are to do.
  using enum SolverAction::Enum;
  struct Case {
    SolverAction::Enum asked[kRanks];
    bool snapshot, stop;
  };
  for (const Case& of :
       {Case{{NONE, NONE, NONE}, false, false}, Case{{NONE, SNAPSHOT, NONE}, true, false},
        Case{{STOP, STOP, NONE}, false, true},
        Case{{SNAPSHOT, NONE, STOP}, true, true}}) {
    ThreadGroup::Run(kRanks, [&of](ThreadGroup* processes) {
      const TrainingGroup<float> group(processes);
      const auto all = group.RequestsOfAll(of.asked[processes->rank()]);
      EXPECT_EQ(all.snapshot, of.snapshot);
      EXPECT_EQ(all.stop, of.stop);
      EXPECT_THAT(processes->sums, ElementsAre(2));
      EXPECT_EQ(processes->broadcasts, 0);
    });
  }
}

TEST(TrainingGroupTest, RankZerosWeightsAreEverybodys) {
  ThreadGroup::Run(kRanks, [](ThreadGroup* processes) {
    const auto net = NewNet(processes->rank(), kShapes);
    TrainingGroup<double> group(processes);
    const auto expect_those_of = [&net](double factor) {
      for (int p = 0; p < 2; ++p) {
        const Blob<double>& param = *net->learnable_params()[p];
        for (int i = 0; i < param.count(); ++i) {
          EXPECT_EQ(param.cpu_data()[i], test::ScriptedWeight(0, p, i) * factor);
        }
      }
    };
    const auto scale = [&net](double factor) {
      for (Blob<double>* param : net->learnable_params()) param->scale_data(factor);
    };
    group.MatchNets(net.get());
    expect_those_of(1);
    scale(processes->rank() == 0 ? 2 : 8);
    group.MatchSteps(net.get(), 0, 4);
    expect_those_of(2);
    // From now on they stay equal by themselves, until others are loaded.
    const int broadcasts = processes->broadcasts;
    group.MatchSteps(net.get(), 4, 4);
    EXPECT_EQ(processes->broadcasts, broadcasts + 1);
    scale(processes->rank() == 0 ? 2 : 8);
    group.WeightsHaveChanged();
    group.MatchSteps(net.get(), 8, 4);
    expect_those_of(4);
  });
}

TEST(TrainingGroupTest, WhatDoesNotMatchIsNamed) {
  ThreadGroup::Run(kRanks, [](ThreadGroup* processes) {
    const auto net = NewNet(0, kShapes);
    TrainingGroup<double> group(processes);
    group.MatchSteps(net.get(), 0, 3);
    const bool other = processes->rank() == 1;
    const std::string error =
        MessageOf<ValueError>([&] { group.MatchSteps(net.get(), 3, other ? 5 : 4); });
    EXPECT_EQ(error.empty(), !other);
    if (!other) return;
    EXPECT_THAT(error, HasSubstr("rank 1 is to take 5 iterations after iteration 3"));
  });
  ThreadGroup::Run(2, [](ThreadGroup* processes) {
    const bool other = processes->rank() == 1;
    const auto net = NewNet(0, other ? kShapes : "");
    TrainingGroup<double> group(processes);
    const std::string error = MessageOf<ValueError>([&] { group.MatchNets(net.get()); });
    EXPECT_EQ(error.empty(), !other);
    if (!other) return;
    EXPECT_THAT(error, HasSubstr("parameters of rank 1 have the shapes (5,) (2,)"));
  });
}

TEST(TrainingGroupTest, WorkOfRankZeroFailsOnAll) {
  ThreadGroup::Run(kRanks, [](ThreadGroup* processes) {
    const TrainingGroup<float> group(processes);
    int calls = 0;
    EXPECT_EQ(group.OnRankZero("count", [&] { ++calls; }), nullptr);
    EXPECT_EQ(calls, processes->rank() == 0 ? 1 : 0);
    const std::exception_ptr error =
        group.OnRankZero("count", [] { throw FileError("no room"); });
    EXPECT_EQ(
        MessageOf<FileError>([&] { std::rethrow_exception(error); }),
        processes->rank() == 0 ? "no room" : "rank 0 could not count, and says why");
  });
}

TEST(TrainingGroupTest, TheFirstTextCounts) {
  ThreadGroup::Run(kRanks, [](ThreadGroup* processes) {
    const TrainingGroup<float> group(processes);
    const int rank = processes->rank();
    EXPECT_EQ(group.First(rank == 0 ? "" : Str("rank ", rank)), "rank 1");
    EXPECT_EQ(group.First(""), "");
  });
}

TEST(TrainingGroupTest, AProcessAloneTalksToNobody) {
  const auto net = NewNet(1, kShapes);
  TrainingGroup<double> group(&ProcessGroup::Join());
  group.MatchNets(net.get());
  EXPECT_TRUE(net->after_backward().empty());
  group.MatchSteps(net.get(), 0, 1);
  double loss = 3;
  group.AverageInNextBackward(&loss);
  net->Forward();
  net->Backward();
  EXPECT_EQ(loss, 3);
  EXPECT_EQ(group.Mean(2.5), 2.5);
  EXPECT_TRUE(group.RequestsOfAll(SolverAction::STOP).stop);
}

}  // namespace
}  // namespace caffe
