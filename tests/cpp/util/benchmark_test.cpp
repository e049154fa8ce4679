#include "caffe/util/benchmark.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <type_traits>

#include "solvers/solver_fixture.hpp"

namespace caffe {
namespace {

template <typename TimerType>
class TimerTest : public ::testing::Test {};
using TimerTypes = ::testing::Types<Timer, CPUTimer>;
TYPED_TEST_SUITE(TimerTest, TimerTypes);

TYPED_TEST(TimerTest, StatesOfItsLife) {
  TypeParam timer;
  EXPECT_TRUE(timer.initted());
  EXPECT_FALSE(timer.running());
  EXPECT_FALSE(timer.has_run_at_least_once());
  timer.Start();
  EXPECT_TRUE(timer.running());
  EXPECT_TRUE(timer.has_run_at_least_once());
  timer.Stop();
  EXPECT_FALSE(timer.running());
  timer.Start();
  EXPECT_GE(timer.Seconds(), 0);
  EXPECT_FALSE(timer.running()) << "reading stops the timer";
}

TYPED_TEST(TimerTest, UnstartedTimerReadsZero) {
  TypeParam timer;
  const test::LogCapture log;
  EXPECT_EQ(timer.MilliSeconds(), 0);
  EXPECT_EQ(log.lines().size(), 1u);
}

TYPED_TEST(TimerTest, CountsWallClockInThreeUnits) {
  TypeParam timer;
  if (Caffe::mode() == Caffe::GPU && std::is_same_v<TypeParam, Timer>) {
    GTEST_SKIP() << "tests/cuda/timer_test.cpp has that of a device";
  }
  const auto begin = std::chrono::steady_clock::now();
  timer.Start();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  timer.Stop();
  const std::chrono::duration<float, std::milli> whole =
      std::chrono::steady_clock::now() - begin;
  EXPECT_GE(timer.MilliSeconds(), 20);
  EXPECT_LE(timer.MilliSeconds(), whole.count());
  EXPECT_FLOAT_EQ(timer.MicroSeconds(), 1000 * timer.MilliSeconds());
  EXPECT_FLOAT_EQ(timer.MilliSeconds(), 1000 * timer.Seconds());
}

}  // namespace
}  // namespace caffe
