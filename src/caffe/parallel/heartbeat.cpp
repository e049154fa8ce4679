#include "caffe/parallel/heartbeat.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {
namespace {

constexpr int kTag = 1;
constexpr char kWarning[] = "CAFFE_RANK_WARNING_S";
constexpr char kTimeout[] = "CAFFE_RANK_TIMEOUT_S";

// A rank that is busy is worth a warning after so many times the time of others.
constexpr double kBusyWarnings = 10;

double FromVariable(const char* name, double fallback) {
  const char* text = std::getenv(name);
  if (!text || !*text) return fallback;
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (*end || !(value >= 0) || !std::isfinite(value)) {
    throw ValueError(Str("MPI: ", name, " is '", text,
                         "', expected seconds, at least 0 (0 for never)"));
  }
  return value;
}

/// A silence of this length is no accident of a busy machine.
double Noticeable(const Heartbeat::Patience& patience) {
  double shortest = 20;
  for (const double seconds : {patience.warning, patience.timeout}) {
    if (seconds > 0) shortest = std::min(shortest, seconds);
  }
  return shortest;
}

/// The names of all ranks, collectively.
std::vector<std::string> Names(MPI_Comm communicator, int size) {
  constexpr int kLength = 320;
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  std::string own = Str("process ", getpid(), " on ", host);
  own.resize(kLength, '\0');
  std::string all(static_cast<size_t>(size) * kLength, '\0');
  MPI_Allgather(own.data(), kLength, MPI_CHAR, all.data(), kLength, MPI_CHAR,
                communicator);
  std::vector<std::string> names;
  for (int r = 0; r < size; ++r) {
    names.push_back(Str("rank ", r, " (", all.c_str() + r * kLength, ")"));
  }
  return names;
}

}  // namespace

Heartbeat::Patience Heartbeat::Patience::FromEnvironment() {
  Patience patience;
  patience.warning = FromVariable(kWarning, patience.warning);
  patience.timeout = FromVariable(kTimeout, patience.timeout);
  const char* given = std::getenv(kTimeout);
  patience.timeout_is_given = given && *given;
  return patience;
}

Heartbeat::Heartbeat(MPI_Comm communicator, const Patience& patience)
    : patience_(patience), interval_s_(Noticeable(patience) / 20) {
  MPI_Comm_dup(communicator, &communicator_);
  MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(communicator_, &rank_);
  int size = 0;
  MPI_Comm_size(communicator_, &size);
  for (std::string& name : Names(communicator_, size)) {
    peers_.emplace_back().name = std::move(name);
  }
  int threads = MPI_THREAD_SINGLE;
  MPI_Query_thread(&threads);
  if (threads < MPI_THREAD_SERIALIZED) return;
  // Signals are for the threads that were there before.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Heartbeat::End() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  thread_.join();
  for (Peer& peer : peers_) {
    if (peer.sending != MPI_REQUEST_NULL) MPI_Request_free(&peer.sending);
  }
}

void Heartbeat::Run() {
  const auto interval = std::chrono::duration<double>(interval_s_);
  std::unique_lock lock(mutex_);
  while (!stop_changed_.wait_for(lock, interval, [this] { return stop_; })) {
    ++beats_;
    Exchange();
  }
}

// A beat that has not left yet is not followed by another, or they would pile up in front
// of a process that does not take them.
void Heartbeat::Exchange() {
  for (int r = 0; r < static_cast<int>(peers_.size()); ++r) {
    if (r == rank_) continue;
    Peer& peer = peers_[r];
    ++peer.silence;
    int sent = 1;
    if (peer.sending != MPI_REQUEST_NULL) {
      MPI_Test(&peer.sending, &sent, MPI_STATUS_IGNORE);
    }
    if (!sent) continue;
    peer.sent = {calls_, waiting_};
    MPI_Isend(&peer.sent, sizeof(Beat), MPI_BYTE, r, kTag, communicator_, &peer.sending);
  }
  for (int waits = 1; waits;) {
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, kTag, communicator_, &waits, &status) != MPI_SUCCESS) {
      return;
    }
    if (!waits) return;
    Peer& peer = peers_[status.MPI_SOURCE];
    MPI_Recv(&peer.heard, sizeof(Beat), MPI_BYTE, status.MPI_SOURCE, kTag, communicator_,
             MPI_STATUS_IGNORE);
    peer.silence = 0;
  }
}

Heartbeat::Waiting::Waiting(Heartbeat* heartbeat)
    : heartbeat_(*heartbeat),
      began_([heartbeat] {
        const std::lock_guard lock(heartbeat->mutex_);
        heartbeat->waiting_ = true;
        return heartbeat->beats_;
      }()),
      next_warning_(heartbeat->patience_.warning) {}

Heartbeat::Waiting::~Waiting() {
  const std::lock_guard lock(heartbeat_.mutex_);
  heartbeat_.waiting_ = false;
}

void Heartbeat::Waiting::Check() {
  const std::lock_guard lock(heartbeat_.mutex_);
  const double waited = heartbeat_.Seconds(heartbeat_.beats_ - began_);
  const Patience& patience = heartbeat_.patience_;
  const bool warn = patience.warning > 0 && waited >= next_warning_;
  const bool may_end = patience.timeout > 0 && waited >= patience.timeout;
  if (!warn && !may_end) return;

  std::string silent, busy;
  bool speaks = true;  // the first of those that wait speaks for all
  const auto list = [](std::string* names, const Peer& peer) {
    *names += Str(names->empty() ? "" : ", ", peer.name);
  };
  for (int r = 0; r < static_cast<int>(heartbeat_.peers_.size()); ++r) {
    if (r == heartbeat_.rank_) continue;
    const Peer& peer = heartbeat_.peers_[r];
    const double silence = heartbeat_.Seconds(peer.silence);
    if (patience.timeout > 0 && silence >= patience.timeout) {
      throw RuntimeFailure(Str(
          "MPI: no sign of life from ", peer.name, " for ", silence,
          " s, expected one within ", patience.timeout,
          " s (CAFFE_RANK_TIMEOUT_S): it was stopped, or its machine hangs; the other "
          "ranks end, go on from the last snapshot"));
    }
    if (silence >= Noticeable(patience)) {
      list(&silent, peer);
    } else if (peer.heard.calls < heartbeat_.calls_) {
      list(&busy, peer);
    } else if (r < heartbeat_.rank_ && peer.heard.waiting) {
      speaks = false;
    }
  }
  if (!warn) return;
  // Rank 0 tests for as long as it takes.
  if (waited < kBusyWarnings * patience.warning) busy.clear();
  if (!speaks || (silent.empty() && busy.empty())) return;
  std::string text =
      Str("rank ", heartbeat_.rank_, " has waited ", waited, " s for the others");
  if (!busy.empty()) text += "; busy: " + busy;
  if (!silent.empty()) {
    text += Str("; no sign of life from ", silent,
                ": stopped (kill -CONT lets it go on), or its machine hangs; ");
    text += patience.timeout > 0
                ? Str("all end when that has lasted ", patience.timeout,
                      " s (CAFFE_RANK_TIMEOUT_S)")
                : std::string("they wait for ever (CAFFE_RANK_TIMEOUT_S is 0)");
  }
  LOG(WARNING) << text;
  next_warning_ = 2 * waited;
}

}  // namespace caffe
