#ifndef CUDA_EMULATION_RUNTIME_EXECUTION_H_
#define CUDA_EMULATION_RUNTIME_EXECUTION_H_

// Carries out one piece of work at a time, with access to the device's memory, and turns
// what it does wrong into a fault of the device.

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace cuda_emulation::runtime {

struct Allocation;

/// A kernel, a copy, or what a library enqueued.
struct Task {
  int device = 0;
  std::function<void()> run;
  const char* name = "";               // of what is no kernel
  const void* kernel = nullptr;        // its address, which has a name
  std::vector<std::uintptr_t> uses{};  // device memory that it will use; not all of it
  bool on_host = false;                // a host function, which has no access
};

/// While one lives, memory that tasks use stays open for the next ones. Opening and
/// closing are system calls, so it spans all that one wait has to run.
class Execution {
 public:
  Execution();
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  /// Runs it, unless its device has a fault.
  void Run(const Task& task);
};

/// Whether this thread is in a task, or holds a DeviceAccess.
bool InTask();

/// To be called when this thread met closed memory at `address`: true if that is open
/// now, false if it is no matter of a task. Does not return if a task did wrong.
bool Access(const void* address, bool write);

/// Opens a part of device memory for a copy, which may do this to any device's.
class OpenRange {
 public:
  OpenRange(const void* pointer, std::size_t bytes);
  ~OpenRange();
  OpenRange(const OpenRange&) = delete;
  OpenRange& operator=(const OpenRange&) = delete;

 private:
  std::uintptr_t address_ = 0;
  std::size_t bytes_ = 0;
};

/// Ends the task that runs: `what` it did becomes a sentence, with the names of the
/// kernel, the block and the thread, and `error` its device's fault.
[[noreturn]] void Fail(cudaError_t error, std::string what);

/// Calls it; an exception ends the task.
void RunOrFail(const std::function<void()>& function);

/// What is at `address`, to say in a report; empty if it is not device memory.
std::string Describe(const void* address);

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_EXECUTION_H_
