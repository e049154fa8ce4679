int CaffeOfAnotherVersion();

namespace {

// If any of this ran, the process would end here.
struct RunsWhenLoaded {
  RunsWhenLoaded() {
    if (CaffeOfAnotherVersion()) __builtin_trap();
  }
} runs_when_loaded;

}  // namespace
