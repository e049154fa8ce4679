#include "caffe/util/signal_handler.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <mutex>

namespace caffe {
namespace {

static_assert(std::atomic<bool>::is_always_lock_free, "set inside a signal handler");
std::atomic<bool> got_sigint(false);
std::atomic<bool> got_sighup(false);
std::atomic<bool> got_sigterm(false);
std::atomic<int> stopped_by(0);

std::mutex mutex;
int live_objects = 0;
struct Handled {
  int signal;
  struct sigaction former;
};
Handled handled[] = {{SIGINT, {}}, {SIGHUP, {}}, {SIGTERM, {}}};
int installed = 0;  // this many, the first ones

// The actions of the object that was made last.
std::atomic<SolverAction::Enum> sigint_action(SolverAction::NONE);
std::atomic<SolverAction::Enum> sighup_action(SolverAction::NONE);
static_assert(std::atomic<SolverAction::Enum>::is_always_lock_free);

// What a signal will do when the iteration is done, which can take minutes. The log
// cannot be used inside a handler.
void Tell(int signal, const char* message) {
  char line[64] = {};
  std::strcpy(line, signal == SIGHUP    ? "SIGHUP: "
                    : signal == SIGTERM ? "SIGTERM: "
                                        : "SIGINT: ");
  std::strcat(line, message);
  if (write(STDERR_FILENO, line, std::strlen(line)) < 0) {
    // The terminal has gone.
  }
}

void HandleSignal(int signal) {
  const int former = errno;
  std::atomic<bool>& got = signal == SIGHUP    ? got_sighup
                           : signal == SIGTERM ? got_sigterm
                                               : got_sigint;
  const SolverAction::Enum action = signal == SIGHUP    ? sighup_action.load()
                                    : signal == SIGTERM ? SolverAction::STOP
                                                        : sigint_action.load();
  if (!got.exchange(true)) {
    if (action == SolverAction::STOP) Tell(signal, "stopping after this iteration\n");
    if (action == SolverAction::SNAPSHOT) Tell(signal, "snapshot after this iteration\n");
  }
  errno = former;
}

SolverAction::Enum Answer(int signal, SolverAction::Enum action) {
  if (action == SolverAction::STOP) stopped_by = signal;
  return action;
}

void RestoreFormer() {
  while (installed > 0) {
    const Handled& last = handled[--installed];
    sigaction(last.signal, &last.former, nullptr);
  }
}

void Install() {
  struct sigaction action{};
  action.sa_handler = HandleSignal;
  // A read in progress goes on; the solver looks at the flags between iterations.
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (; installed < static_cast<int>(std::size(handled)); ++installed) {
    auto& [signal, former] = handled[installed];
    if (sigaction(signal, &action, &former) == 0) continue;
    const int reason = errno;
    RestoreFormer();
    throw RuntimeFailure(
        Str("cannot install a handler for ", strsignal(signal), ": ", strerror(reason)));
  }
}

}  // namespace

SignalHandler::SignalHandler(SolverAction::Enum SIGINT_action,
                             SolverAction::Enum SIGHUP_action)
    : SIGINT_action_(SIGINT_action), SIGHUP_action_(SIGHUP_action) {
  const std::lock_guard<std::mutex> lock(mutex);
  sigint_action = SIGINT_action;
  sighup_action = SIGHUP_action;
  if (live_objects == 0) {
    got_sigint = false;
    got_sighup = false;
    got_sigterm = false;
    stopped_by = 0;
    Install();
  }
  ++live_objects;
}

SignalHandler::~SignalHandler() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (--live_objects == 0) RestoreFormer();
}

ActionCallback SignalHandler::GetActionFunction() {
  return [on_sigint = SIGINT_action_, on_sighup = SIGHUP_action_] {
    if (got_sigterm.exchange(false)) return Answer(SIGTERM, SolverAction::STOP);
    if (got_sigint.exchange(false)) return Answer(SIGINT, on_sigint);
    if (got_sighup.exchange(false)) return Answer(SIGHUP, on_sighup);
    return SolverAction::NONE;
  };
}

int SignalHandler::StoppedBy() { return stopped_by; }

}  // namespace caffe
