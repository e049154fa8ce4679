#include "faults.h"

#include <signal.h>
#include <ucontext.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "api.h"
#include "execution.h"

namespace cuda_emulation::runtime {
namespace {

struct sigaction handler_before;

/// A stack for the handler: that of the thread may be what has overflowed.
class HandlerStack {
 public:
  HandlerStack() : memory_(new char[kBytes]) {
    stack_t present;
    if (sigaltstack(nullptr, &present) == 0 && (present.ss_flags & SS_DISABLE) != 0) {
      const stack_t mine = {memory_.get(), 0, kBytes};
      mine_ = sigaltstack(&mine, nullptr) == 0;
    }
  }
  ~HandlerStack() {
    if (!mine_) return;
    const stack_t none = {nullptr, SS_DISABLE, 0};
    sigaltstack(&none, nullptr);
  }
  HandlerStack(const HandlerStack&) = delete;
  HandlerStack& operator=(const HandlerStack&) = delete;

 private:
  static constexpr std::size_t kBytes = 64 << 10;
  std::unique_ptr<char[]> memory_;
  bool mine_ = false;
};

bool IsWrite([[maybe_unused]] void* context) {
#if defined(__x86_64__)
  constexpr greg_t kWriteBit = 2;  // of the processor's error code for page faults
  return (static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR] & kWriteBit) != 0;
#else
  return false;
#endif
}

void Handle(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const bool known = Access(info->si_addr, IsWrite(context));
  errno = saved;
  if (known) return;
  // Another thread may hold the lock; without it the place cannot be looked up.
  std::unique_lock lock(RuntimeMutex(), std::try_to_lock);
  if (lock.owns_lock()) {
    const std::string place = Describe(info->si_addr);
    if (!place.empty()) {
      std::fprintf(stderr,
                   "cuda_emulation: host code uses device memory at %p: %s; copy it "
                   "with cudaMemcpy\n",
                   info->si_addr, place.c_str());
    }
  }
  // The access is repeated, and meets the other handler.
  sigaction(signal, &handler_before, nullptr);
}

}  // namespace

void HandleFaults() {
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_sigaction = Handle;
    // A handler that is left by a switch of stacks leaves no signal blocked.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    return sigaction(SIGSEGV, &action, &handler_before) == 0;
  }();
  static_cast<void>(installed);
  thread_local const HandlerStack stack;
}

}  // namespace cuda_emulation::runtime
