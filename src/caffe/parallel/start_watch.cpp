#include "caffe/parallel/start_watch.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string>

#include "caffe/common.hpp"

namespace caffe {

StartWatch::StartWatch(const std::string& rank, int processes,
                       const Heartbeat::Patience& patience)
    : who_(Str("rank ", rank, " of ", processes)), patience_(patience) {
  // Signals are for the threads that were there before.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

StartWatch::~StartWatch() {
  {
    const std::lock_guard lock(mutex_);
    all_there_ = true;
  }
  all_there_changed_.notify_all();
  thread_.join();
}

bool StartWatch::Wait(double seconds) {
  std::unique_lock lock(mutex_);
  // In parts: a time in which this process itself is stopped counts as one of them.
  constexpr int kParts = 20;
  const auto part = std::chrono::duration<double>(seconds / kParts);
  for (int i = 0; i < kParts; ++i) {
    if (all_there_changed_.wait_for(lock, part, [this] { return all_there_; })) {
      return false;
    }
  }
  return true;
}

void StartWatch::Run() {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  double warning = patience_.warning > 0 ? patience_.warning : kNever;
  const double end =
      patience_.timeout_is_given && patience_.timeout > 0 ? patience_.timeout : kNever;
  for (double waited = 0; std::min(warning, end) < kNever;) {
    const double next = std::min(warning, end);
    if (!Wait(next - waited)) return;
    waited = next;
    const std::string text =
        Str(who_, " has waited ", waited,
            " s for the others to connect: a rank that does "
            "not say this was stopped, its machine hangs, or it is not at its first "
            "solver yet");
    if (waited >= end) {
      std::fprintf(stderr, "error: MPI: %s; the others end (CAFFE_RANK_TIMEOUT_S)\n",
                   text.c_str());
      // MPI holds the other thread, and nothing has begun; the launcher ends the rest.
      ::_exit(1);
    }
    LOG(WARNING) << text;
    warning *= 2;
  }
}

}  // namespace caffe
