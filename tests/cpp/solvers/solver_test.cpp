#include "caffe/solver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "caffe/util/signal_handler.h"
#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace {

using test::LogCapture;
using test::MessageOf;
using test::NewSolver;
using test::ReadBytes;
using test::TemporaryFolder;
using test::Weights;
using test::WriteBytes;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Loss 2, 3, 4 … in training and 10, 11 … in tests, whose second output is the sum of
// the weights.
const char kNet[] =
    "name: 'tiny' "
    "layer { name: 'l' type: 'ScriptedLoss' top: 'loss' include { phase: TRAIN } "
    "  power_param { shift: 2 } dummy_data_param { shape { dim: 3 } } } "
    "layer { name: 'l' type: 'ScriptedLoss' top: 'loss' top: 'sum' include { phase: TEST "
    "} "
    "  power_param { shift: 10 } dummy_data_param { shape { dim: 3 } } } ";
const char kRate[] = "lr_policy: 'fixed' base_lr: 0.5 snapshot_after_train: false ";

std::string WithNet(const std::string& more) {
  return Str("net_param { ", kNet, " } ", kRate, more);
}

std::string ErrorOf(const std::string& text) {
  const LogCapture quiet;
  return MessageOf<Error>([&] { NewSolver<float>(text); });
}

TEST(SolverTest, LogLinesAreCaffes) {
  const LogCapture log;
  const auto solver = NewSolver<float>(WithNet(
      "max_iter: 4 display: 2 test_interval: 2 test_iter: 2 test_compute_loss: true "
      "random_seed: 1"));
  EXPECT_TRUE(log.Has("Creating training net specified in net_param"));
  EXPECT_TRUE(log.Has("Creating test net (#0) specified by net_param"));
  EXPECT_TRUE(log.Has("Solver scaffolding done."));
  solver->Solve();
  std::vector<std::string> lines;
  for (const std::string& line : log.raw()) {
    if (!std::regex_search(
            line, std::regex("solver.cpp:[0-9]+\\] (Solving|Learning| *T|Iter|Optim)")))
      continue;
    // Time of day, thread, line number and measured times vary.
    lines.push_back(std::regex_replace(
        std::regex_replace(
            line, std::regex("^I[0-9]{4} [0-9:.]{15} +[0-9]+ ([a-z_.]+):[0-9]+"), "$1"),
        std::regex("\\([-0-9.e+inf]+ iter/s, [-0-9.e+]+s/"), "(? iter/s, ?s/"));
  }
  // The sum is that of the weights before each test.
  for (std::string& line : lines) {
    line = std::regex_replace(line, std::regex("sum = [-0-9.e]+"), "sum = ?");
  }
  EXPECT_THAT(
      lines,
      ElementsAre(
          "solver.cpp] Solving tiny", "solver.cpp] Learning Rate Policy: fixed",
          "solver.cpp] Iteration 0, Testing net (#0)", "solver.cpp] Test loss: 10.5",
          "solver.cpp]     Test net output #0: loss = 10.5 (* 1 = 10.5 loss)",
          "solver.cpp]     Test net output #1: sum = ?",
          "solver.cpp] Iteration 0 (? iter/s, ?s/2 iters), loss = 2",
          "solver.cpp]     Train net output #0: loss = 2 (* 1 = 2 loss)",
          "sgd_solver.cpp] Iteration 0, lr = 0.5",
          "solver.cpp] Iteration 2, Testing net (#0)", "solver.cpp] Test loss: 12.5",
          "solver.cpp]     Test net output #0: loss = 12.5 (* 1 = 12.5 loss)",
          "solver.cpp]     Test net output #1: sum = ?",
          "solver.cpp] Iteration 2 (? iter/s, ?s/2 iters), loss = 4",
          "solver.cpp]     Train net output #0: loss = 4 (* 1 = 4 loss)",
          "sgd_solver.cpp] Iteration 2, lr = 0.5",
          "solver.cpp] Iteration 4, Testing net (#0)", "solver.cpp] Test loss: 14.5",
          "solver.cpp]     Test net output #0: loss = 14.5 (* 1 = 14.5 loss)",
          "solver.cpp]     Test net output #1: sum = ?",
          "solver.cpp] Iteration 4, loss = 6", "solver.cpp] Optimization Done."));
}

TEST(SolverTest, SettingsMayChangeOnTheWay) {
  const LogCapture log;
  const std::string text = "base_lr: 0.5 lr_policy: 'fixed' momentum: 0 weight_decay: 0";
  const auto solver = NewSolver<double>(WithNet(text));
  const auto step = [&] {
    const std::vector<double> before = Weights(solver.get());
    solver->Step(1);
    std::vector<double> moved = Weights(solver.get());
    for (size_t i = 0; i < moved.size(); ++i) moved[i] -= before[i];
    return moved;
  };
  SolverParameter param = solver->param();
  param.set_base_lr(0);
  solver->UpdateParam(param);
  EXPECT_THAT(step(), testing::Each(0));
  param.set_base_lr(0.25);
  param.set_display(1);
  solver->UpdateParam(param);
  EXPECT_THAT(step(), testing::Contains(testing::Ne(0)));
  EXPECT_NE(log.Find("lr = 0.25"), "");

  const auto refused = [&](const std::string& change) {
    return MessageOf<ValueError>([&] {
      SolverParameter other = param;
      other.MergeFrom(test::SolverFromText(change));
      solver->UpdateParam(other);
    });
  };
  EXPECT_THAT(refused("random_seed: 77"), HasSubstr("random_seed cannot change"));
  EXPECT_THAT(refused("net_param { name: 'other' }"), HasSubstr("net_param"));
  EXPECT_THAT(refused("type: 'Adam'"), HasSubstr("type"));
  EXPECT_THAT(refused("test_iter: 3"), HasSubstr("test_iter"));
  EXPECT_THAT(refused("momentum: 1.5"), HasSubstr("momentum"));
  EXPECT_EQ(solver->param().momentum(), 0);
}

TEST(SolverTest, TestsSeeTheTrainedWeights) {
  const LogCapture log;
  const auto solver = NewSolver<float>(
      WithNet("max_iter: 3 test_interval: 3 test_iter: 1 test_initialization: false"));
  solver->Solve();
  float sum = 0;
  for (const float weight : Weights(solver.get())) sum += weight;
  EXPECT_TRUE(log.Has(Str("    Test net output #1: sum = ", sum)));
  EXPECT_FALSE(log.Has("Iteration 0, Testing net (#0)"));
}

TEST(SolverTest, LossIsAveragedOverAverageLossIterations) {
  for (const bool one_by_one : {false, true}) {
    const LogCapture log;
    const auto solver = NewSolver<double>(WithNet("average_loss: 3"));
    std::vector<double> smoothed;
    for (int i = 0; i < 5; ++i) {
      solver->Step(one_by_one || i == 0 ? 1 : 0);
      smoothed.push_back(solver->smoothed_loss());
    }
    if (one_by_one) {
      EXPECT_THAT(smoothed, ElementsAre(2, 2.5, 3, 4, 5));
    } else {
      solver->Step(4);
      EXPECT_EQ(solver->smoothed_loss(), 5);
    }
  }
}

TEST(SolverTest, IterSizeAveragesTheLossAndCountsOnce) {
  const LogCapture log;
  const auto solver = NewSolver<double>(WithNet("iter_size: 4"));
  solver->Step(1);
  EXPECT_EQ(solver->iter(), 1);
  EXPECT_EQ(solver->smoothed_loss(), (2 + 3 + 4 + 5) / 4.0);
}

TEST(SolverTest, StepGoesOnPastMaxIter) {
  const LogCapture log;
  const auto solver = NewSolver<float>(WithNet("max_iter: 2"));
  solver->Step(3);
  EXPECT_EQ(solver->iter(), 3);
  solver->Solve();
  EXPECT_EQ(solver->iter(), 3);
}

TEST(SolverTest, NonFiniteLossIsNamedOnceAndTrainingGoesOnIfItMay) {
  const LogCapture log;
  const auto solver = NewSolver<float>(Str(
      "net_param { layer { name: 'l' type: 'ScriptedLoss' top: 'objective' power_param { "
      "power: 2 } dummy_data_param { shape { dim: 1 } } } } on_nan: CONTINUE ",
      kRate));
  solver->Step(5);
  EXPECT_EQ(solver->iter(), 5);
  EXPECT_THAT(log.Find("iteration 2: the loss is nan"),
              HasSubstr("1 of 1 value of 'objective'"));
  int warnings = 0;
  for (const std::string& line : log.raw()) warnings += line[0] == 'W';
  EXPECT_EQ(warnings, 1);
  EXPECT_EQ(solver->smoothed_loss(), 4);  // a NaN does not stay in the average
}

class Recorder : public Solver<float>::Callback {
 public:
  explicit Recorder(Solver<float>* solver) : solver_(solver) {}
  std::vector<std::string> events;

 protected:
  void on_start() override { events.push_back(Str("start ", solver_->iter())); }
  void on_gradients_ready() override {
    const float diff = solver_->net()->learnable_params()[0]->cpu_diff()[0];
    events.push_back(Str("ready ", solver_->iter(), diff != 0 ? " with gradients" : ""));
  }

 private:
  Solver<float>* solver_;
};

TEST(SolverTest, CallbacksFrameTheGradients) {
  const LogCapture log;
  const auto solver = NewSolver<float>(WithNet("iter_size: 2"));
  Recorder recorder(solver.get());
  solver->add_callback(&recorder);
  EXPECT_EQ(solver->callbacks().size(), 1u);
  solver->Step(2);
  EXPECT_THAT(recorder.events, ElementsAre("start 0", "ready 0 with gradients", "start 1",
                                           "ready 1 with gradients"));
}

class Watcher : public Solver<float>::Callback {
 public:
  explicit Watcher(Solver<float>* solver) : solver_(solver) {}
  std::vector<std::string> events;
  std::vector<float> speeds;

 protected:
  void on_start() override {}
  void on_gradients_ready() override {}
  void on_display(float loss, float iter_per_s) override {
    events.push_back(
        Str("loss ", loss, " mean ", solver_->smoothed_loss(), " at ", solver_->iter()));
    speeds.push_back(iter_per_s);
  }
  void on_test(int net, const std::vector<std::pair<string, float>>& outputs) override {
    std::string event = Str("test ", net, " at ", solver_->iter(), ":");
    for (const auto& [name, mean] : outputs) {
      event += name == "sum" ? " sum" : Str(" ", name, " ", mean);
    }
    events.push_back(event);
  }

 private:
  Solver<float>* solver_;
};

TEST(SolverTest, CallbacksGetTheNumbersOfTheLog) {
  const LogCapture log;
  const auto solver = NewSolver<float>(WithNet(
      "max_iter: 4 display: 2 average_loss: 2 test_interval: 4 test_iter: [2, 1]"));
  Watcher watcher(solver.get());
  solver->add_callback(&watcher);
  solver->Solve();
  // Losses are 2, 3, 4, …; each test net counts for itself, from 10.
  EXPECT_THAT(watcher.events,
              ElementsAre("test 0 at 0: loss 10.5 sum", "test 1 at 0: loss 10 sum",
                          "loss 2 mean 2 at 0", "loss 4 mean 3.5 at 2",
                          "test 0 at 4: loss 12.5 sum", "test 1 at 4: loss 11 sum",
                          "loss 6 mean 5.5 at 4"));
  EXPECT_EQ(watcher.speeds[0], 0);
  EXPECT_GT(watcher.speeds[1], 0);
  EXPECT_EQ(watcher.speeds[2], 0);
}

// A solver written for Caffe 1.0, where Step counts the iterations.
class CountingSolver : public SGDSolver<float> {
 public:
  explicit CountingSolver(const SolverParameter& param) : SGDSolver<float>(param) {}
  void ApplyUpdate() override { ++updates; }
  int updates = 0;
};

TEST(SolverTest, StepCountsForSolversThatDoNot) {
  const LogCapture log;
  CountingSolver solver(test::SolverFromText(WithNet("")));
  solver.Step(3);
  EXPECT_EQ(solver.updates, 3);
  EXPECT_EQ(solver.iter(), 3);
}

TEST(SolverTest, StopEndsStepAndSolve) {
  TemporaryFolder folder;
  const LogCapture log;
  const auto solver = NewSolver<float>(WithNet(Str(
      "max_iter: 100 snapshot_after_train: true snapshot_prefix: '", folder / "s", "'")));
  int asked = 0;
  solver->SetActionFunction(
      [&] { return ++asked == 3 ? SolverAction::STOP : SolverAction::NONE; });
  solver->Solve();
  EXPECT_EQ(solver->iter(), 3);
  EXPECT_TRUE(log.Has("Optimization stopped early."));
  EXPECT_FALSE(log.Has("Optimization Done."));
  EXPECT_NE(ReadBytes(folder / "s_iter_3.solverstate"), "");
  solver->Step(2);  // asking to stop does not stick
  EXPECT_EQ(solver->iter(), 5);
}

TEST(SolverTest, StopEndsATestToo) {
  const LogCapture log;
  const auto solver =
      NewSolver<float>(WithNet("max_iter: 9 test_interval: 2 test_iter: 1000000000"));
  int asked = 0;
  solver->SetActionFunction(
      [&] { return ++asked == 5 ? SolverAction::STOP : SolverAction::NONE; });
  solver->Solve();
  EXPECT_EQ(solver->iter(), 0);
  EXPECT_TRUE(log.Has("Test interrupted."));
  EXPECT_TRUE(log.Has("Optimization stopped early."));
}

TEST(SolverTest, SnapshotCanBeAskedForAtAnyTime) {
  TemporaryFolder folder;
  const LogCapture log;
  const auto solver = NewSolver<float>(WithNet(
      Str("snapshot_prefix: '", folder / "s", "' test_interval: 2 test_iter: 2")));
  int asked = 0;
  // Twice in the test at 0, once after iterations 1 and 2.
  solver->SetActionFunction([&] {
    ++asked;
    return asked == 1 || asked == 4 ? SolverAction::SNAPSHOT : SolverAction::NONE;
  });
  solver->Step(2);
  EXPECT_EQ(solver->iter(), 2);
  EXPECT_NE(ReadBytes(folder / "s_iter_0.solverstate"), "");
  EXPECT_NE(ReadBytes(folder / "s_iter_1.solverstate"), "");
  EXPECT_EQ(folder.NumFiles(), 4);
}

class Interrupting : public Solver<float>::Callback {
 protected:
  void on_start() override {}
  void on_gradients_ready() override { raise(SIGINT); }
};

TEST(SolverTest, SignalStopsAfterTheIteration) {
  const LogCapture log;
  SignalHandler handler(SolverAction::STOP, SolverAction::SNAPSHOT);
  const auto solver = NewSolver<float>(WithNet("max_iter: 100"));
  solver->SetActionFunction(handler.GetActionFunction());
  Interrupting interrupting;
  solver->add_callback(&interrupting);
  solver->Solve();
  EXPECT_EQ(solver->iter(), 1);
  EXPECT_TRUE(log.Has("Optimization stopped early."));
}

TEST(SolverTest, NetsComeFromAllForms) {
  TemporaryFolder folder;
  const std::string file = folder / "net.prototxt";
  WriteBytes(file, kNet);
  const std::string tests = "test_interval: 1 test_iter: 1 ";
  const std::vector<std::pair<std::string, int>> forms = {
      {Str("net: '", file, "' "), 0},
      {Str("net: '", file, "' ", tests, "test_iter: 2"), 2},
      {Str("train_net: '", file, "' "), 0},
      {Str("train_net: '", file, "' test_net: '", file, "' ", tests), 1},
      {Str("train_net_param { ", kNet, "} test_net_param { ", kNet, "} test_net: '", file,
           "' test_iter: 3 ", tests),
       2},
      {Str("net_param { ", kNet, "} test_net: '", file, "' test_iter: 3 ", tests), 2}};
  for (const auto& [text, test_nets] : forms) {
    SCOPED_TRACE(text);
    const LogCapture log;
    const auto solver = NewSolver<float>(Str(text, " ", kRate));
    EXPECT_EQ(solver->net()->phase(), TRAIN);
    ASSERT_EQ(solver->test_nets().size(), static_cast<size_t>(test_nets));
    for (const auto& net : solver->test_nets()) EXPECT_EQ(net->phase(), TEST);
    solver->Step(1);
    EXPECT_EQ(log.Has("Iteration 0, Testing net (#1)"), test_nets == 2);
  }
}

TEST(SolverTest, StatesSelectLayers) {
  const std::string layer =
      "layer { type: 'ScriptedLoss' dummy_data_param { shape { dim: 1 } } ";
  const LogCapture log;
  const auto solver = NewSolver<float>(
      Str("net_param { state { level: 1 } ", layer,
          "name: 'a' top: 'a' include { stage: 'x' min_level: 1 } } ", layer,
          "name: 'b' top: 'b' include { phase: TEST stage: 'y' } } ", layer,
          "name: 'c' top: 'c' include { phase: TEST min_level: 5 } } } ",
          "train_state { stage: 'x' } test_state { stage: 'y' } test_state { level: 5 } ",
          "test_iter: 1 test_iter: 1 test_interval: 1 ", kRate));
  EXPECT_THAT(solver->net()->layer_names(), ElementsAre("a"));
  EXPECT_THAT(solver->test_nets()[0]->layer_names(), ElementsAre("b"));
  EXPECT_THAT(solver->test_nets()[1]->layer_names(), ElementsAre("c"));
}

TEST(SolverTest, WeightsAreLoadedInOrder) {
  TemporaryFolder folder;
  std::vector<std::string> files;
  const LogCapture log;
  const auto source = NewSolver<float>(WithNet(""));
  for (int i = 0; i < 3; ++i) {
    source->Step(1);
    NetParameter weights;
    source->net()->ToProto(&weights);
    files.push_back(folder / Str(i, ".caffemodel"));
    WriteBytes(files.back(), weights.SerializeAsString());
  }
  const auto solver = NewSolver<float>(WithNet(
      Str("weights: '", files[0], " , ", files[1], "' weights: '", files[2], "' ")));
  EXPECT_EQ(Weights(solver.get()), Weights(source.get()));
  EXPECT_TRUE(log.Has("Finetuning from " + files[1]));
}

TEST(SolverTest, SeedsRepeatAndUnseededRunsDiffer) {
  const std::string noisy = Str(
      "net_param { layer { name: 'l' type: 'ScriptedLoss' top: 'loss' dropout_param { "
      "dropout_ratio: 0.5 } dummy_data_param { shape { dim: 9 } } } } ",
      kRate);
  const LogCapture log;
  const auto train = [&](const std::string& more) {
    const auto solver = NewSolver<float>(noisy + more);
    solver->Step(3);
    return Weights(solver.get());
  };
  EXPECT_EQ(train("random_seed: 7"), train("random_seed: 7"));
  EXPECT_NE(train("random_seed: 7"), train("random_seed: 8"));
  // The caller's own seed holds where the solver has none.
  Caffe::set_random_seed(7);
  const std::vector<float> callers = train("");
  EXPECT_EQ(callers, train("random_seed: 7"));
  // Otherwise the system's seed is logged, and repeats the run.
  Caffe::rng_stream() = Caffe::RNG();
  LogCapture second;
  const std::vector<float> unseeded = train("");
  std::smatch seed;
  const std::string line = second.Find("Random seed: ");
  ASSERT_TRUE(std::regex_search(line, seed, std::regex("Random seed: ([0-9]+) ")));
  EXPECT_EQ(unseeded, train("random_seed: " + seed[1].str()));
  EXPECT_NE(unseeded, train("random_seed: 7"));
}

TEST(SolverTest, DebugInfoComesWithDisplay) {
  const LogCapture log;
  const auto solver = NewSolver<float>(WithNet("debug_info: true display: 2"));
  solver->Step(1);
  const size_t first = log.lines().size();
  EXPECT_NE(log.Find("    [Forward] Layer l, top blob loss data: "), "");
  solver->Step(1);
  for (size_t i = first; i < log.lines().size(); ++i) {
    EXPECT_THAT(log.lines()[i], Not(HasSubstr("[Forward]")));
  }
}

TEST(SolverTest, ReadsASolverFile) {
  TemporaryFolder folder;
  WriteBytes(folder / "net.prototxt", kNet);
  WriteBytes(folder / "quick.prototxt",
             Str("net: '", folder / "net.prototxt", "' max_iter: 2 ",
                 "lr_policy: 'fixed' base_lr: 0.1 snapshot: 1 "));
  const LogCapture log;
  SGDSolver<float> solver(folder / "quick.prototxt");
  solver.Solve();
  EXPECT_NE(ReadBytes(folder / "quick_iter_2.caffemodel"), "");
  EXPECT_NE(ReadBytes(folder / "quick_iter_1.solverstate"), "");
}

TEST(SolverErrorsTest, WrongDefinitionsAreNamed) {
  const std::string rate = kRate;
  EXPECT_THAT(ErrorOf(rate), HasSubstr("no train net given, expected exactly one of"));
  EXPECT_THAT(ErrorOf(WithNet("train_net: 'x'")),
              HasSubstr("net_param and train_net given"));
  EXPECT_THAT(ErrorOf("net: '/nowhere/net.prototxt'" + rate),
              HasSubstr("/nowhere/net.prototxt"));
  EXPECT_THAT(ErrorOf(WithNet("test_iter: 1")), HasSubstr("test_interval is 0"));
  EXPECT_THAT(
      ErrorOf(Str("train_net_param { ", kNet, "} test_net_param { ", kNet, "}", rate)),
      HasSubstr("0 test_iter given, expected 1"));
  EXPECT_THAT(ErrorOf(WithNet("test_net_param { } test_net_param { } test_iter: 1")),
              HasSubstr("1 test_iter given, expected at least 2"));
  EXPECT_THAT(
      ErrorOf(WithNet("test_iter: 1 test_interval: 1 test_state { } test_state { }")),
      HasSubstr("2 test_state given, expected 1"));
  EXPECT_THAT(ErrorOf(WithNet("iter_size: 0")), HasSubstr("iter_size is 0"));
  EXPECT_THAT(ErrorOf(WithNet("average_loss: 0")), HasSubstr("average_loss is 0"));
  EXPECT_THAT(ErrorOf(WithNet("display: -1")), HasSubstr("display is -1"));
  EXPECT_THAT(ErrorOf(WithNet("snapshot: 5")), HasSubstr("without snapshot_prefix"));
  TemporaryFolder folder;
  WriteBytes(folder / "file", "");
  const std::string prefix = folder / "file/s";
  EXPECT_THAT(ErrorOf(WithNet("snapshot: 5 snapshot_prefix: '" + prefix + "'")),
              AllOf(HasSubstr("snapshot_prefix '" + prefix + "': the folder '"),
                    HasSubstr("file' is not there and cannot be made: ")));
  EXPECT_THAT(ErrorOf("net_param { layer { name: 'q' type: 'Scripted' } }" + rate),
              HasSubstr("net_param: layer 'q'"));
  EXPECT_THAT(ErrorOf(WithNet("weights: '/no/w.caffemodel'")),
              HasSubstr("/no/w.caffemodel"));
}

TEST(SolverErrorsTest, UnwritableSnapshotsAreReportedBeforeTraining) {
  const LogCapture log;
  TemporaryFolder folder;
  WriteBytes(folder / "file", "");
  const auto solver = NewSolver<float>(
      WithNet(Str("max_iter: 5 snapshot_after_train: true snapshot_prefix: '",
                  folder / "file/s", "'")));
  EXPECT_THAT(MessageOf<Error>([&] { solver->Solve(); }), HasSubstr("file/s"));
  EXPECT_EQ(solver->iter(), 0);
  solver->Step(1);  // without snapshots it trains
  EXPECT_EQ(solver->iter(), 1);
}

TEST(SolverTest, MakesTheFolderOfItsSnapshots) {
  const LogCapture log;
  TemporaryFolder folder;
  for (const std::string due : {"snapshot: 1", "snapshot_after_train: true"}) {
    const std::string made = folder / due.substr(0, due.find(':'));
    const auto solver = NewSolver<float>(
        WithNet(Str("max_iter: 1 ", due, " snapshot_prefix: '", made, "/of/runs/s'")));
    solver->Solve();
    EXPECT_NE(ReadBytes(made + "/of/runs/s_iter_1.caffemodel"), "");
  }
}

TEST(SolverErrorsTest, WithoutMaxIterThereIsNothingToSolve) {
  const LogCapture log;
  const auto solver = NewSolver<float>(WithNet("snapshot_prefix: 'none'"));
  EXPECT_THAT(MessageOf<Error>([&] { solver->Solve(); }),
              HasSubstr("max_iter is missing, expected the number of iterations"));
  solver->Step(1);  // which it is told
  EXPECT_EQ(solver->iter(), 1);
}

TEST(SolverErrorsTest, MissingBaseRateIsWarnedOfOnce) {
  for (const std::string rate :
       {"lr_policy: 'fixed'", "lr_policy: 'fixed' base_lr: 0", ""}) {
    const LogCapture log;
    const auto solver = NewSolver<float>(Str("net_param { ", kNet, " } ", rate));
    const std::vector<float> weights = Weights(solver.get());
    if (!rate.empty()) solver->Step(2);
    EXPECT_EQ(Weights(solver.get()), weights);
    int warnings = 0;
    for (const std::string& line : log.raw()) {
      warnings += line[0] == 'W' && line.find("base_lr is missing") != std::string::npos;
    }
    EXPECT_EQ(warnings, rate == "lr_policy: 'fixed'") << rate;
  }
}

TEST(SolverErrorsTest, MissingPolicyIsReportedWhenItIsNeeded) {
  const LogCapture log;
  const auto solver = NewSolver<float>(Str("net_param { ", kNet, " }"));
  solver->net()->Forward();
  EXPECT_THAT(MessageOf<Error>([&] { solver->Step(1); }),
              HasSubstr("lr_policy is missing"));
}

}  // namespace
}  // namespace caffe
