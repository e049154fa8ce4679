#include "execution.h"

#include <cuda_emulation/control.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>

#include "api.h"
#include "coroutine.h"
#include "device.h"
#include "faults.h"
#include "immortal.h"
#include "kernels.h"
#include "streams.h"
#include "symbol_name.h"

namespace cuda_emulation::runtime {
namespace {

// Whether it is this thread that is in a task: it has the runtime's lock then.
thread_local bool in_task = false;

// What that thread does. Kernels and libraries have a stack of their own, which can be
// left behind when they do something wrong.
constexpr std::size_t kTaskStackBytes = 8 << 20;
struct Doing {
  int depth = 0;  // of executions
  const Task* task = nullptr;
  std::unique_ptr<Coroutine> coroutine;
  bool on_coroutine = false;
  std::vector<Allocation*> opened;
  int opened_for = 0;  // the device
  std::string last_fault;
};
constinit Immortal<Doing> immortal_state;
Doing& state = immortal_state.value;

struct Failure {
  cudaError_t error = cudaSuccess;
  std::string what;
  const void* address = nullptr;  // of an access, when there is no text
  bool write = false;
};
constinit Immortal<Failure> immortal_failure;
Failure& failure = immortal_failure.value;

std::string NameOf(const Task& task) {
  return task.kernel ? "kernel " + SymbolName(task.kernel) : task.name;
}

void SetFault(int device, cudaError_t error, const std::string& sentence) {
  state.last_fault = "cuda_emulation: " + sentence;
  std::fprintf(stderr, "%s\n", state.last_fault.c_str());
  DeviceOf(device).fault = error;
}

/// A fault if something was written next to the allocation, which is open: by `task`, or
/// an unknown one if that is null.
void CheckAround(const Allocation& allocation, const Task* task) {
  if (DeviceOf(allocation.device).fault != cudaSuccess) return;
  if (allocation.SurroundingsIntact()) return;
  SetFault(allocation.device, cudaErrorIllegalAddress,
           (task ? NameOf(*task) : "a kernel or a library") +
               " wrote just outside of an allocation of " +
               std::to_string(allocation.bytes) + " bytes on device " +
               std::to_string(allocation.device));
}

/// False if code that runs on `device` may not use the memory.
bool OpenFor(int device, Allocation* allocation) {
  if (allocation->device != device && !DeviceOf(device).peers.count(allocation->device)) {
    return false;
  }
  if (!allocation->open) {
    allocation->SetOpen(true);
    state.opened.push_back(allocation);
  }
  return true;
}

void CloseAll() {
  for (Allocation* allocation : state.opened) {
    CheckAround(*allocation, nullptr);
    allocation->SetOpen(false);
  }
  state.opened.clear();
}

void TaskMain(void*) {
  for (;;) {
    RunOrFail(state.task->run);
    state.coroutine->Suspend();
  }
}

void RunOnCoroutine() {
  if (!state.coroutine) {
    state.coroutine = std::make_unique<Coroutine>(kTaskStackBytes, TaskMain, nullptr);
  }
  failure.error = cudaSuccess;
  failure.what.clear();
  state.on_coroutine = true;
  state.coroutine->Resume();
  state.on_coroutine = false;
}

std::string FailureText() {
  if (!failure.what.empty()) return failure.what;
  if (KernelStackOverflows(failure.address) ||
      state.coroutine->Overflows(failure.address)) {
    return "its stack is too small for its variables";
  }
  char text[64];
  std::snprintf(text, sizeof(text), "%s address %#zx, ",
                failure.write ? "writes" : "reads",
                reinterpret_cast<std::size_t>(failure.address));
  const std::string place = Describe(failure.address);
  if (place.empty()) return text + std::string("which is no device memory");
  const Allocation* allocation =
      AllocationAt(reinterpret_cast<std::uintptr_t>(failure.address));
  if (!allocation) return text + place;
  return text + place + ", to which device " + std::to_string(state.task->device) +
         " has no access; cudaDeviceEnablePeerAccess gives it";
}

void RunDeviceTask(const Task& task) {
  HandleFaults();
  state.task = &task;
  state.opened_for = task.device;
  for (const std::uintptr_t address : task.uses) {
    if (Allocation* allocation = AllocationAt(address)) OpenFor(task.device, allocation);
  }
  RunOnCoroutine();
  if (failure.error != cudaSuccess) {
    const std::string position = KernelPosition();
    SetFault(
        task.device, failure.error,
        NameOf(task) + (position.empty() ? "" : ", " + position) + ": " + FailureText());
    AbandonKernel();
    state.coroutine.reset();
  } else {
    for (const std::uintptr_t address : task.uses) {
      const Allocation* allocation = AllocationAt(address);
      if (allocation && allocation->open) CheckAround(*allocation, &task);
    }
  }
  state.task = nullptr;
}

}  // namespace

Execution::Execution() { ++state.depth; }

Execution::~Execution() {
  if (--state.depth == 0) CloseAll();
}

void Execution::Run(const Task& task) {
  if (!task.run || DeviceOf(task.device).fault != cudaSuccess) return;
  // What is open to one device may be closed to another, or to the host.
  if (task.on_host || state.opened_for != task.device) CloseAll();
  in_task = true;
  if (task.on_host) {
    task.run();
  } else {
    RunDeviceTask(task);
  }
  in_task = false;
}

bool InTask() { return in_task; }

bool Access(const void* address, bool write) {
  if (!in_task || !state.task) return false;
  Allocation* allocation = AllocationAt(reinterpret_cast<std::uintptr_t>(address));
  if (allocation && !allocation->open && OpenFor(state.task->device, allocation)) {
    return true;
  }
  if (!state.on_coroutine) return false;
  failure.error = cudaErrorIllegalAddress;
  failure.address = address;
  failure.write = write;
  state.coroutine->Suspend();
  std::abort();
}

// Nothing on the stack of who called it is destroyed, so the text is taken from there.
void Fail(cudaError_t error, std::string what) {
  failure.error = error;
  failure.what = std::move(what);
  state.coroutine->Suspend();
  std::abort();
}

void RunOrFail(const std::function<void()>& function) {
  try {
    function();
    return;
  } catch (const std::exception& error) {
    failure.what = std::string("threw an exception: ") + error.what();
  } catch (...) {
    failure.what = "threw what is no std::exception";
  }
  Fail(cudaErrorLaunchFailure, std::move(failure.what));
}

std::string Describe(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  Device* device = DeviceAt(address);
  return device ? device->memory.Describe(address) : "";
}

OpenRange::OpenRange(const void* pointer, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  const Allocation* allocation = AllocationAt(address);
  if (!allocation || allocation->open) return;
  address_ = address;
  bytes_ = bytes;
  ProtectPages(address_, bytes_, true);
}

OpenRange::~OpenRange() {
  if (bytes_ > 0) ProtectPages(address_, bytes_, false);
}

}  // namespace cuda_emulation::runtime

namespace cuda_emulation {
using namespace runtime;

DeviceAccess::DeviceAccess() : outermost_(false) {
  RuntimeMutex().lock();
  if (in_task) return;
  outermost_ = true;
  FinishDevice(CurrentDevice());
  HandleFaults();
  static Task code_with_access;
  code_with_access.device = CurrentDevice().number;
  state.task = &code_with_access;
  state.opened_for = code_with_access.device;
  ++state.depth;
  in_task = true;
}

DeviceAccess::~DeviceAccess() {
  if (outermost_) {
    in_task = false;
    state.task = nullptr;
    if (--state.depth == 0) CloseAll();
  }
  RuntimeMutex().unlock();
}

std::string LastFault() {
  const std::lock_guard lock(RuntimeMutex());
  return state.last_fault;
}

}  // namespace cuda_emulation
