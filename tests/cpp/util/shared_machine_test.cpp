#include "caffe/util/shared_machine.hpp"

#include <gtest/gtest.h>
#include <omp.h>
#include <sys/resource.h>
#include <time.h>

namespace caffe {
namespace {

constexpr std::int64_t kTenth = 100'000'000;  // ns

TEST(Contention, BeginsWhenAThreadWaitsForItsCore) {
  Contention contention;
  EXPECT_FALSE(contention.Observe(kTenth, 0, false));
  EXPECT_FALSE(contention.Observe(kTenth, kTenth / 50, false));
  EXPECT_TRUE(contention.Observe(kTenth, kTenth / 3, false));
}

TEST(Contention, EndsAfterASecondWithout) {
  Contention contention;
  ASSERT_TRUE(contention.Observe(kTenth, kTenth / 3, false));
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(contention.Observe(kTenth, 0, false)) << i;
  EXPECT_FALSE(contention.Observe(kTenth, 0, false));
}

TEST(Contention, IsNotOverWhileItComesAndGoes) {
  Contention contention;
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(contention.Observe(kTenth, i % 8 == 0 ? kTenth / 3 : 0, false)) << i;
  }
}

TEST(Contention, QuotaThatIsUsedUpCountsAsWell) {
  Contention contention;
  EXPECT_TRUE(contention.Observe(kTenth, 0, true));
}

// How often the calling thread has gone to sleep.
long Sleeps() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

// How often the second thread of a team sleeps over regions that the first one comes to
// half a millisecond after the one before, a sixth of what libgomp spins by default.
long SleepsOfSecondThread(int regions) {
  long slept = 0;
  for (int i = 0; i <= regions; ++i) {
    const timespec half_ms{0, 500'000};
    if (i > 0) nanosleep(&half_ms, nullptr);
#pragma omp parallel num_threads(2)
    if (omp_get_thread_num() == 1) {
      if (i == 0) slept -= Sleeps();
      if (i == regions) slept += Sleeps();
    }
  }
  return slept;
}

// Whether threads spin where they should sleep shows everywhere; the opposite only on an
// idle machine.
TEST(ThreadsThatWait, SleepBetweenRegionsOnceTold) {
  constexpr int kRegions = 100;
  SleepsOfSecondThread(1);
  for (int turn = 0; turn < 2; ++turn) {
    ThreadsThatWait::Sleep();
    const timespec started{0, 100'000'000};
    nanosleep(&started, nullptr);
    EXPECT_GT(SleepsOfSecondThread(kRegions), 0.9 * kRegions);
    ThreadsThatWait::Spin();
  }
}

}  // namespace
}  // namespace caffe
