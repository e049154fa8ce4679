#include "caffe/util/shared_machine.hpp"

#include <omp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "caffe/util/allowed_cores.hpp"

namespace caffe {

namespace {

using Clock = std::chrono::steady_clock;

// Some share of the time is lost to the system's own threads on any machine.
constexpr double kContended = 0.05, kQuiet = 0.02;
// Others that come and go are taken to stay.
constexpr std::int64_t kQuietLong_ns = 1'000'000'000;

// A thread that keeps OpenMP threads of its own, which do nothing. It lives to the end of
// the process, and in no child: nothing waits for it.
class IdleThreads {
 public:
  static IdleThreads& Get() {
    static IdleThreads* const all = new IdleThreads;
    return *all;
  }

  void Keep(bool keep) {
    std::unique_lock lock(mutex_);
    if (keep == keep_) return;
    keep_ = keep;
    if (!keep) {
      changed_.notify_all();
      return;
    }
    const int round = ++round_;
    std::thread([this, round] { Live(round); }).detach();
  }

 private:
  void Live(int round) {
    // One more than there are cores, with the threads that compute.
    const int count = std::max(2, omp_get_num_procs() - AllowedCores() + 2);
    volatile int started = 0;
#pragma omp parallel num_threads(count)
    {
      // A region without anything in it is left out by compilers.
      if (omp_get_thread_num() == 0) started = omp_get_num_threads();
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !keep_ || round_ != round; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool keep_ = false;
  int round_ = 0;
};

// The threads of the calling thread's parallel regions.
std::vector<long> ThreadsOfTeam() {
  std::vector<long> ids(omp_get_max_threads());
#pragma omp parallel num_threads(static_cast<int>(ids.size()))
  ids[omp_get_thread_num()] = syscall(SYS_gettid);
  return ids;
}

// What a thread has spent waiting for a core since it began; 0 where the kernel does not
// count.
std::int64_t WaitedForCore_ns(long thread) {
  const std::string path = "/proc/self/task/" + std::to_string(thread) + "/schedstat";
  std::FILE* const file = std::fopen(path.c_str(), "re");
  if (!file) return 0;
  long long ran = 0, waited = 0;
  if (std::fscanf(file, "%lld %lld", &ran, &waited) != 2) waited = 0;
  std::fclose(file);
  return waited;
}

// What one thread that runs nets has seen.
struct Watch {
  Clock::time_point last = Clock::now();
  std::vector<long> threads;
  std::vector<std::int64_t> waited_ns;
  long long throttled = 0;
  Contention contention;
};

void Look(Watch* watch, std::int64_t passed_ns) {
  if (static_cast<int>(watch->threads.size()) != omp_get_max_threads()) {
    watch->threads = ThreadsOfTeam();
    watch->waited_ns.clear();
  }
  std::vector<std::int64_t> waited_ns;
  for (const long thread : watch->threads) waited_ns.push_back(WaitedForCore_ns(thread));
  static const bool has_quota = CoreQuota() < omp_get_num_procs();
  const long long throttled = has_quota ? TimesThrottled() : 0;
  if (!watch->waited_ns.empty()) {
    std::int64_t longest = 0;
    for (size_t i = 0; i < waited_ns.size(); ++i) {
      longest = std::max(longest, waited_ns[i] - watch->waited_ns[i]);
    }
    const bool contended =
        watch->contention.Observe(passed_ns, longest, throttled > watch->throttled);
    contended ? ThreadsThatWait::Sleep() : ThreadsThatWait::Spin();
  }
  watch->waited_ns = std::move(waited_ns);
  watch->throttled = throttled;
}

}  // namespace

void ThreadsThatWait::Sleep() { IdleThreads::Get().Keep(true); }
void ThreadsThatWait::Spin() { IdleThreads::Get().Keep(false); }

bool Contention::Observe(std::int64_t passed_ns, std::int64_t waited_ns, bool throttled) {
  const double share = static_cast<double>(waited_ns) / static_cast<double>(passed_ns);
  if (throttled || share > kContended) {
    contended_ = true;
    quiet_ns_ = 0;
  } else if (contended_) {
    quiet_ns_ = share < kQuiet ? quiet_ns_ + passed_ns : 0;
    if (quiet_ns_ >= kQuietLong_ns) contended_ = false;
  }
  return contended_;
}

void AdaptToMachine() {
  static const bool chosen =
      std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT");
  if (chosen || omp_in_parallel() || omp_get_max_threads() == 1) return;
  thread_local Watch watch;
  const Clock::time_point now = Clock::now();
  const std::int64_t passed_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(now - watch.last).count();
  // A look takes some 10 us a thread.
  const std::int64_t interval_ns =
      std::max<std::int64_t>(100'000'000, 5'000'000LL * omp_get_max_threads());
  if (passed_ns < interval_ns) return;
  watch.last = now;
  Look(&watch, passed_ns);
}

}  // namespace caffe
