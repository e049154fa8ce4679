#include "environment.h"

#include <cstdlib>
#include <string>

#include "symbol_name.h"

namespace cuda_emulation::runtime {
namespace {

const std::string& WantedFailure() {
  static const std::string* wanted = [] {
    const char* text = std::getenv("CUDA_EMULATION_FAIL");
    return new std::string(text ? text : "");
  }();
  return *wanted;
}

/// The kernels that have NAME in theirs, and how many may still start before one fails.
struct KernelFailure {
  std::string name;
  long left = 0;

  KernelFailure() {
    const std::string prefix = "kernel:";
    const std::string& wanted = WantedFailure();
    const std::size_t colon = wanted.rfind(':');
    if (wanted.rfind(prefix, 0) != 0 || colon < prefix.size()) return;
    name = wanted.substr(prefix.size(), colon - prefix.size());
    left = std::atol(wanted.c_str() + colon + 1);
  }
};

}  // namespace

std::size_t NumberOf(const char* variable, std::size_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

bool DevicesAreBusy() { return WantedFailure() == "busy"; }
bool KernelsHaveNoImage() { return WantedFailure() == "no_image"; }

bool KernelShallFail(const void* kernel) {
  static auto* failure = new KernelFailure();
  if (failure->left == 0) return false;
  if (SymbolName(kernel).find(failure->name) == std::string::npos) return false;
  return --failure->left == 0;
}

}  // namespace cuda_emulation::runtime
