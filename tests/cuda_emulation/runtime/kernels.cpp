#include "kernels.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "api.h"
#include "coroutine.h"
#include "environment.h"
#include "execution.h"
#include "immortal.h"
#include "streams.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace cuda_emulation::runtime {
namespace {

// Threads of a block run one after another on one coroutine. One that waits keeps it, and
// those that have not started go on on another. A kernel without barriers never switches.

constexpr std::size_t kStackBytes = 256 << 10;
constexpr std::size_t kMostBytesExchanged = 16;
constexpr unsigned kWarp = warpSize;

enum class State { kReady, kAtBarrier, kAtWarp, kDone };

struct Thread {
  uint3 index;
  State state;
  Coroutine* coroutine;
  // What it leaves for its warp. Two slots: a thread may reach its next exchange before
  // its neighbours have read this one, but never the one after that.
  unsigned char slots[2][kMostBytesExchanged];
  unsigned exchanges;
};

struct {
  Order kind = Order::kForward;
  unsigned seed = 0;
} order_setting;

// The block that runs; there is one in the process.
struct Block {
  const std::function<void()>* body = nullptr;  // null while no kernel runs
  unsigned count = 0;                           // of threads
  std::vector<Thread> threads;
  std::vector<unsigned> order, grid_order;
  unsigned started = 0, done = 0;
  unsigned current = 0;
  Coroutine* active = nullptr;
  std::vector<std::unique_ptr<Coroutine>> coroutines;
  std::vector<Coroutine*> idle;
};
constinit Immortal<Block> immortal_block;
Block& block = immortal_block.value;

std::vector<unsigned> MakeOrder(std::size_t count, unsigned seed) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0u);
  if (order_setting.kind == Order::kReverse) std::reverse(order.begin(), order.end());
  if (order_setting.kind == Order::kShuffled) {
    std::mt19937 random(seed);
    std::shuffle(order.begin(), order.end(), random);
  }
  return order;
}

std::string Text(uint3 index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " +
         std::to_string(index.z) + ")";
}

void Enter(unsigned thread) {
  block.current = thread;
  threadIdx = block.threads[thread].index;
}

void CoroutineMain(void*) {
  for (;;) {
    while (block.started < block.count) {
      Enter(block.order[block.started++]);
      RunOrFail(*block.body);
      block.threads[block.current].state = State::kDone;
      ++block.done;
    }
    block.idle.push_back(block.active);
    block.active->Suspend();
  }
}

Coroutine* TakeIdle() {
  if (block.idle.empty()) {
    block.coroutines.push_back(
        std::make_unique<Coroutine>(kStackBytes, CoroutineMain, nullptr));
    return block.coroutines.back().get();
  }
  Coroutine* coroutine = block.idle.back();
  block.idle.pop_back();
  return coroutine;
}

void Resume(Coroutine* coroutine) {
  block.active = coroutine;
  coroutine->Resume();
}

void Wait(State state) {
  Thread& self = block.threads[block.current];
  self.state = state;
  self.coroutine = block.active;
  block.active->Suspend();
}

/// Runs every thread that can go on; false if there was none.
bool RunReady() {
  bool any = false;
  for (const unsigned i : block.order) {
    Thread& thread = block.threads[i];
    if (thread.state != State::kReady) continue;
    any = true;
    Enter(i);
    Resume(thread.coroutine);
  }
  return any;
}

/// Lets the threads [begin, end) go on if all of them wait in `state`.
bool Release(unsigned begin, unsigned end, State state) {
  for (unsigned i = begin; i < end; ++i) {
    if (block.threads[i].state != state) return false;
  }
  for (unsigned i = begin; i < end; ++i) block.threads[i].state = State::kReady;
  return true;
}

bool ReleaseSome() {
  bool released = Release(0, block.count, State::kAtBarrier);
  for (unsigned warp = 0; warp < block.count; warp += kWarp) {
    released |= Release(warp, std::min(warp + kWarp, block.count), State::kAtWarp);
  }
  return released;
}

/// Some threads wait for others, which ended or wait elsewhere.
[[noreturn]] void FailStuck() {
  const auto waits = [](const Thread& thread) { return thread.state != State::kDone; };
  const auto end = block.threads.begin() + block.count;
  const auto waiting = std::find_if(block.threads.begin(), end, waits);
  const bool barrier = waiting->state == State::kAtBarrier;
  const auto warp =
      block.threads.begin() + (waiting - block.threads.begin()) / kWarp * kWarp;
  const auto missing =
      std::find_if(barrier ? block.threads.begin() : warp, end,
                   [&](const Thread& other) { return other.state != waiting->state; });
  Enter(static_cast<unsigned>(waiting - block.threads.begin()));
  Fail(cudaErrorLaunchFailure,
       std::string("waits ") +
           (barrier ? "at a barrier of its block" : "for the threads of its warp") +
           ", and thread " + Text(missing->index) +
           (missing->state == State::kDone ? " has ended" : " waits elsewhere"));
}

void RunBlock() {
  block.started = 0;
  block.done = 0;
  while (block.started < block.count) Resume(TakeIdle());
  while (block.done < block.count) {
    if (!RunReady() && !ReleaseSome()) FailStuck();
  }
}

void RunGrid(dim3 grid, dim3 size, const std::function<void()>& thread) {
  block.count = size.x * size.y * size.z;
  if (block.threads.size() < block.count) block.threads.resize(block.count);
  for (unsigned i = 0; i < block.count; ++i) {
    block.threads[i].index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
    block.threads[i].exchanges = 0;
  }
  gridDim = grid;
  blockDim = size;
  block.body = &thread;
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  block.order = MakeOrder(block.count, order_setting.seed);
  block.grid_order = MakeOrder(blocks, order_setting.seed + 1);
  for (const unsigned i : block.grid_order) {
    blockIdx = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
    RunBlock();
  }
  block.body = nullptr;
}

unsigned LanesOfWarp() {
  return std::min(kWarp, block.count - block.current / kWarp * kWarp);
}

/// Leaves bytes for the warp and waits for it. The slot that was used.
unsigned LeaveInWarp(unsigned int mask, const void* mine, std::size_t size) {
  const unsigned lanes = LanesOfWarp();
  const unsigned whole = std::numeric_limits<unsigned>::max() >> (kWarp - lanes);
  if ((mask & whole) != whole || size > kMostBytesExchanged) {
    Fail(cudaErrorNotSupported,
         "shuffles or votes among a part of a warp, which is not emulated; a mask must "
         "name all threads of the warp");
  }
  Thread& self = block.threads[block.current];
  const unsigned slot = self.exchanges++ % 2;
  std::memcpy(self.slots[slot], mine, size);
  Wait(State::kAtWarp);
  return slot;
}

bool IsLaunchable(const cudaLaunchConfig_t& config) {
  const dim3 &grid = config.gridDim, &size = config.blockDim;
  const std::uint64_t threads = std::uint64_t{size.x} * size.y * size.z;
  return threads > 0 && threads <= kMostThreadsPerBlock && size.x <= 1024 &&
         size.y <= 1024 && size.z <= 64 && grid.x > 0 && grid.y > 0 && grid.z > 0 &&
         grid.x <= std::numeric_limits<std::int32_t>::max() && grid.y <= 65535 &&
         grid.z <= 65535;
}

/// The device memory to which something in the arguments points.
std::vector<std::uintptr_t> PointersIn(const void* arguments, std::size_t bytes) {
  std::vector<std::uintptr_t> pointers;
  const char* from = static_cast<const char*>(arguments);
  for (std::size_t i = 0; i + sizeof(std::uintptr_t) <= bytes; i += alignof(void*)) {
    std::uintptr_t value;
    std::memcpy(&value, from + i, sizeof(value));
    if (DeviceAt(value)) pointers.push_back(value);
  }
  return pointers;
}

}  // namespace

std::string KernelPosition() {
  return block.body ? "block " + Text(blockIdx) + ", thread " + Text(threadIdx) : "";
}

bool KernelStackOverflows(const void* address) {
  return block.active && block.active->Overflows(address);
}

void AbandonKernel() {
  block.body = nullptr;
  block.active = nullptr;
  block.idle.clear();
  block.coroutines.clear();
}

}  // namespace cuda_emulation::runtime

namespace cuda_emulation {
using namespace runtime;

int Lane() { return static_cast<int>(block.current % kWarp); }

void SyncBlock() { Wait(State::kAtBarrier); }

void Exchange(unsigned int mask, const void* mine, void* theirs, std::size_t size,
              int lane) {
  const unsigned slot = LeaveInWarp(mask, mine, size);
  const unsigned other = lane >= 0 && static_cast<unsigned>(lane) < LanesOfWarp()
                             ? block.current / kWarp * kWarp + static_cast<unsigned>(lane)
                             : block.current;
  std::memcpy(theirs, block.threads[other].slots[slot], size);
}

unsigned int Ballot(unsigned int mask, bool predicate) {
  const unsigned slot = LeaveInWarp(mask, &predicate, sizeof(predicate));
  const Thread* warp = &block.threads[block.current / kWarp * kWarp];
  unsigned votes = 0;
  for (unsigned i = 0; i < LanesOfWarp(); ++i) {
    votes |= static_cast<unsigned>(warp[i].slots[slot][0]) << i;
  }
  return votes;
}

void SetOrder(Order order, unsigned seed) {
  const std::lock_guard lock(RuntimeMutex());
  order_setting = {order, seed};
}

cudaError_t LaunchGrid(const void* kernel, const cudaLaunchConfig_t& config,
                       std::function<void()> thread, const void* arguments,
                       std::size_t bytes) {
  return CallOnDevice([&](Device& device) {
    if (!kernel) return cudaErrorInvalidDeviceFunction;
    if (KernelsHaveNoImage()) return cudaErrorNoKernelImageForDevice;
    if (!IsLaunchable(config)) return cudaErrorInvalidConfiguration;
    if (config.dynamicSmemBytes != 0 || config.numAttrs != 0) {
      std::fprintf(stderr,
                   "cuda_emulation: a launch asks for %zu bytes of shared memory and %u "
                   "attributes; only static shared memory and no attributes are "
                   "emulated\n",
                   config.dynamicSmemBytes, config.numAttrs);
      return cudaErrorNotSupported;
    }
    const Stream stream = FindStream(config.stream, device);
    if (!stream || stream->device != device.number) return cudaErrorInvalidResourceHandle;
    Task task;
    task.device = device.number;
    task.kernel = kernel;
    task.uses = PointersIn(arguments, bytes);
    task.run = [grid = config.gridDim, size = config.blockDim, body = std::move(thread)] {
      RunGrid(grid, size, body);
    };
    if (KernelShallFail(kernel)) {
      task.run = [] {
        Fail(cudaErrorLaunchFailure, "fails as CUDA_EMULATION_FAIL asks");
      };
    }
    return Submit(stream, std::move(task));
  });
}

}  // namespace cuda_emulation
