#include "caffe/util/signal_handler.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <initializer_list>
#include <memory>
#include <string>

#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace {

int own_handler_calls = 0;
void OwnHandler(int) { ++own_handler_calls; }

TEST(SignalHandlerTest, ReportsEachSignalOnce) {
  SignalHandler handler(SolverAction::STOP, SolverAction::SNAPSHOT);
  const ActionCallback action = handler.GetActionFunction();
  EXPECT_EQ(action(), SolverAction::NONE);
  raise(SIGHUP);
  EXPECT_EQ(action(), SolverAction::SNAPSHOT);
  EXPECT_EQ(action(), SolverAction::NONE);
  raise(SIGHUP);
  raise(SIGINT);
  EXPECT_EQ(action(), SolverAction::STOP);
  EXPECT_EQ(action(), SolverAction::SNAPSHOT);
  EXPECT_EQ(action(), SolverAction::NONE);
}

TEST(SignalHandlerTest, NoneSwallowsTheSignal) {
  SignalHandler handler(SolverAction::NONE, SolverAction::NONE);
  raise(SIGINT);
  raise(SIGHUP);
  EXPECT_EQ(handler.GetActionFunction()(), SolverAction::NONE);
}

TEST(SignalHandlerTest, FormerHandlersComeBackWithTheLast) {
  struct sigaction own{}, former_int{}, former_hup{};
  own.sa_handler = OwnHandler;
  ASSERT_EQ(sigaction(SIGINT, &own, &former_int), 0);
  ASSERT_EQ(sigaction(SIGHUP, &own, &former_hup), 0);
  own_handler_calls = 0;
  auto first = std::make_unique<SignalHandler>(SolverAction::STOP, SolverAction::STOP);
  auto second = std::make_unique<SignalHandler>(SolverAction::STOP, SolverAction::STOP);
  first.reset();
  raise(SIGINT);
  EXPECT_EQ(own_handler_calls, 0);
  EXPECT_EQ(second->GetActionFunction()(), SolverAction::STOP);
  second.reset();
  raise(SIGINT);
  raise(SIGHUP);
  EXPECT_EQ(own_handler_calls, 2);
  sigaction(SIGINT, &former_int, nullptr);
  sigaction(SIGHUP, &former_hup, nullptr);
}

TEST(SignalHandlerTest, SigtermStopsWhateverSigintDoes) {
  struct sigaction own{}, former{};
  own.sa_handler = OwnHandler;
  ASSERT_EQ(sigaction(SIGTERM, &own, &former), 0);
  own_handler_calls = 0;
  {
    SignalHandler handler(SolverAction::NONE, SolverAction::SNAPSHOT);
    raise(SIGTERM);
    EXPECT_EQ(own_handler_calls, 0);
    EXPECT_EQ(handler.GetActionFunction()(), SolverAction::STOP);
  }
  raise(SIGTERM);
  EXPECT_EQ(own_handler_calls, 1);
  sigaction(SIGTERM, &former, nullptr);
}

TEST(SignalHandlerTest, TellsWhatStopped) {
  SignalHandler handler(SolverAction::STOP, SolverAction::SNAPSHOT);
  const ActionCallback action = handler.GetActionFunction();
  raise(SIGHUP);
  action();
  EXPECT_EQ(SignalHandler::StoppedBy(), 0);
  for (const int signal : {SIGINT, SIGTERM}) {
    raise(signal);
    EXPECT_EQ(SignalHandler::StoppedBy(), signal == SIGINT ? 0 : SIGINT);
    action();
    EXPECT_EQ(SignalHandler::StoppedBy(), signal);
  }
}

TEST(SignalHandlerTest, SaysAtOnceWhatFollowsTheIteration) {
  const auto said = [](SolverAction::Enum sigint, SolverAction::Enum sighup,
                       std::initializer_list<int> signals) {
    SignalHandler handler(sigint, sighup);
    testing::internal::CaptureStderr();
    for (const int signal : signals) raise(signal);
    return testing::internal::GetCapturedStderr();
  };
  const std::string stop = ": stopping after this iteration\n";
  const std::string snapshot = ": snapshot after this iteration\n";
  EXPECT_EQ(said(SolverAction::STOP, SolverAction::SNAPSHOT, {SIGINT, SIGINT}),
            "SIGINT" + stop);
  EXPECT_EQ(said(SolverAction::STOP, SolverAction::SNAPSHOT, {SIGHUP}),
            "SIGHUP" + snapshot);
  EXPECT_EQ(said(SolverAction::SNAPSHOT, SolverAction::NONE, {SIGINT}),
            "SIGINT" + snapshot);
  EXPECT_EQ(said(SolverAction::NONE, SolverAction::NONE, {SIGINT, SIGHUP}), "");
  EXPECT_EQ(said(SolverAction::NONE, SolverAction::NONE, {SIGTERM}), "SIGTERM" + stop);
}

TEST(SignalHandlerTest, SignalsBeforeItsTimeAreForgotten) {
  ActionCallback old;
  {
    SignalHandler handler(SolverAction::STOP, SolverAction::STOP);
    old = handler.GetActionFunction();
    raise(SIGINT);
  }
  SignalHandler handler(SolverAction::STOP, SolverAction::STOP);
  EXPECT_EQ(handler.GetActionFunction()(), SolverAction::NONE);
  EXPECT_EQ(old(), SolverAction::NONE);
}

}  // namespace
}  // namespace caffe
