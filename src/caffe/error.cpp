#include "caffe/error.hpp"

#include <errno.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

namespace caffe {
namespace {

std::terminate_handler former_handler = nullptr;

// An error that nobody catches ends a program as the commands end: with one sentence and
// status 1. Anything else goes the way it would have gone, to a core dump perhaps.
[[noreturn]] void OnTerminate() {
  if (const std::exception_ptr flying = std::current_exception()) {
    try {
      std::rethrow_exception(flying);
    } catch (const Error& error) {
      std::cout.flush();
      std::fflush(stdout);
      std::fprintf(stderr, "%s: error: %s\n", program_invocation_short_name,
                   error.what());
      std::_Exit(1);  // other threads may run: no destructors
    } catch (...) {
    }
  }
  if (former_handler) former_handler();
  std::abort();
}

// Programs need not call us for it; in Python nothing ends that way.
const bool is_installed = [] {
  former_handler = std::set_terminate(OnTerminate);
  return true;
}();

}  // namespace

Error::Error(ErrorKind kind, const std::string& message) : Error(kind, "", message) {}

Error::Error(ErrorKind kind, const std::string& who, const std::string& message)
    : std::runtime_error(message), kind_(kind), who_(who), message_(message) {
  Compose();
}

void Error::SetWho(const std::string& who) {
  if (who_.empty()) who_ = who;
  Compose();
}

void Error::SetMessage(const std::string& message) {
  message_ = message;
  Compose();
}

void Error::Prefix(const std::string& prefix) {
  (who_.empty() ? message_ : where_).insert(0, prefix + ": ");
  Compose();
}

void Error::Compose() { text_ = where_ + (who_.empty() ? "" : who_ + ": ") + message_; }

}  // namespace caffe
