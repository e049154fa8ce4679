#include "caffe/util/signal_handler.h"

#include <signal.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

namespace caffe {
namespace {

static_assert(std::atomic<bool>::is_always_lock_free, "set inside a signal handler");
std::atomic<bool> got_sigint(false);
std::atomic<bool> got_sighup(false);

std::mutex mutex;
int live_objects = 0;
struct sigaction former_sigint;
struct sigaction former_sighup;

void HandleSignal(int signal) { (signal == SIGINT ? got_sigint : got_sighup) = true; }

void Install(int signal, struct sigaction* former) {
  struct sigaction action {};
  action.sa_handler = HandleSignal;
  // A read in progress goes on; the solver looks at the flags between iterations.
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  if (sigaction(signal, &action, former) != 0) {
    throw RuntimeFailure(
        Str("cannot install a handler for ", strsignal(signal), ": ", strerror(errno)));
  }
}

}  // namespace

SignalHandler::SignalHandler(SolverAction::Enum SIGINT_action,
                             SolverAction::Enum SIGHUP_action)
    : SIGINT_action_(SIGINT_action), SIGHUP_action_(SIGHUP_action) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (live_objects == 0) {
    got_sigint = false;
    got_sighup = false;
    Install(SIGINT, &former_sigint);
    try {
      Install(SIGHUP, &former_sighup);
    } catch (...) {
      sigaction(SIGINT, &former_sigint, nullptr);
      throw;
    }
  }
  ++live_objects;
}

SignalHandler::~SignalHandler() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (--live_objects > 0) return;
  sigaction(SIGINT, &former_sigint, nullptr);
  sigaction(SIGHUP, &former_sighup, nullptr);
}

ActionCallback SignalHandler::GetActionFunction() {
  return [on_sigint = SIGINT_action_, on_sighup = SIGHUP_action_] {
    if (got_sigint.exchange(false)) return on_sigint;
    if (got_sighup.exchange(false)) return on_sighup;
    return SolverAction::NONE;
  };
}

}  // namespace caffe
