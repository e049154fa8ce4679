#include <cuda_runtime.h>

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <utility>
#include <vector>

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace cuda_emulation {
namespace {

cudaError_t last_error = cudaSuccess;

cudaError_t Report(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

// Device memory: pages of their own per allocation, closed to the host by default.

std::map<std::uintptr_t, std::size_t>& Allocations() {
  static auto* allocations = new std::map<std::uintptr_t, std::size_t>();
  return *allocations;
}

int open_count = 0;

void Protect(int protection) {
  for (const auto& [address, size] : Allocations()) {
    if (mprotect(reinterpret_cast<void*>(address), size, protection) != 0) {
      std::perror("cuda_emulation: mprotect");
      std::abort();
    }
  }
}

// Threads of a block: coroutines that the scheduler below resumes in turn.

constexpr int kMostThreadsPerBlock = 1024;
constexpr std::size_t kStackBytes = 64 << 10;

enum class State { kReady, kAtBarrier, kAtShuffle, kDone };

struct Thread {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  State state;
  uint3 index;
  // What it leaves in a shuffle. Two slots: a thread may reach its next shuffle before
  // its neighbours have read this one, but never the one after that.
  unsigned char slots[2][16];
  unsigned shuffles;
};

struct Block {
  std::vector<Thread> threads;
  ucontext_t scheduler;
  int current;
  const std::function<void()>* body;
};

Block* running = nullptr;

void ThreadMain() {
  (*running->body)();
  running->threads[running->current].state = State::kDone;
  // uc_link goes back to the scheduler.
}

void Wait(State state) {
  Thread& self = running->threads[running->current];
  self.state = state;
  swapcontext(&self.context, &running->scheduler);
}

// Runs every thread from `begin` to `end` that can go on; false if there was none.
bool RunReady(Block* block, int count) {
  bool any = false;
  for (int i = 0; i < count; ++i) {
    Thread& thread = block->threads[i];
    if (thread.state != State::kReady) continue;
    any = true;
    block->current = i;
    threadIdx = thread.index;
    swapcontext(&block->scheduler, &thread.context);
  }
  return any;
}

// Lets the threads [begin, end) go on if all of them wait in `state`.
bool Release(Block* block, int begin, int end, State state) {
  for (int i = begin; i < end; ++i) {
    if (block->threads[i].state != state) return false;
  }
  for (int i = begin; i < end; ++i) block->threads[i].state = State::kReady;
  return true;
}

// True when all threads of the block ended; false when some wait for others that
// ended, or that wait elsewhere.
bool RunBlock(Block* block, int count) {
  for (int i = 0; i < count; ++i) {
    Thread& thread = block->threads[i];
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.get();
    thread.context.uc_stack.ss_size = kStackBytes;
    thread.context.uc_link = &block->scheduler;
    makecontext(&thread.context, ThreadMain, 0);
    thread.state = State::kReady;
    thread.shuffles = 0;
  }
  for (;;) {
    if (RunReady(block, count)) continue;
    bool released = Release(block, 0, count, State::kAtBarrier);
    for (int warp = 0; warp < count; warp += warpSize) {
      released |=
          Release(block, warp, std::min(warp + warpSize, count), State::kAtShuffle);
    }
    if (released) continue;
    return std::all_of(block->threads.begin(), block->threads.begin() + count,
                       [](const Thread& thread) { return thread.state == State::kDone; });
  }
}

}  // namespace

DeviceAccess::DeviceAccess() {
  if (open_count++ == 0) Protect(PROT_READ | PROT_WRITE);
}

DeviceAccess::~DeviceAccess() {
  if (--open_count == 0) Protect(PROT_NONE);
}

bool IsDevicePointer(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  const auto next = Allocations().upper_bound(address);
  if (next == Allocations().begin()) return false;
  const auto& [begin, size] = *std::prev(next);
  return address < begin + size;
}

cudaError_t RunGrid(dim3 grid, dim3 block, const std::function<void()>& thread) {
  const std::uint64_t count = std::uint64_t{block.x} * block.y * block.z;
  if (count == 0 || count > kMostThreadsPerBlock || grid.x == 0 || grid.y == 0 ||
      grid.z == 0 || grid.x > std::numeric_limits<std::int32_t>::max() ||
      grid.y > 65535 || grid.z > 65535) {
    return Report(cudaErrorInvalidConfiguration);
  }
  static Block state;
  while (state.threads.size() < count) {
    state.threads.emplace_back();
    state.threads.back().stack.reset(new char[kStackBytes]);
  }
  for (unsigned i = 0; i < count; ++i) {
    state.threads[i].index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
  }
  const DeviceAccess access;
  state.body = &thread;
  running = &state;
  gridDim = grid;
  blockDim = block;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
        if (!RunBlock(&state, static_cast<int>(count))) {
          return Report(cudaErrorLaunchFailure);
        }
      }
    }
  }
  return cudaSuccess;
}

cudaError_t Enqueue(cudaStream_t /*stream*/, std::function<void()> work) {
  const DeviceAccess access;
  work();
  return cudaSuccess;
}

void Exchange(const void* mine, void* theirs, std::size_t size, int lane) {
  const int current = running->current;
  Thread& self = running->threads[current];
  const unsigned slot = self.shuffles++ % 2;
  std::memcpy(self.slots[slot], mine, size);
  Wait(State::kAtShuffle);
  const Thread& other = running->threads[current / warpSize * warpSize + lane];
  std::memcpy(theirs, other.slots[slot], size);
}

}  // namespace cuda_emulation

using cuda_emulation::Allocations;
using cuda_emulation::DeviceAccess;
using cuda_emulation::Report;

void __syncthreads() { cuda_emulation::Wait(cuda_emulation::State::kAtBarrier); }

extern "C" {

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
  }
  return "unrecognized error code";
}

cudaError_t cudaGetLastError() {
  return std::exchange(cuda_emulation::last_error, cudaSuccess);
}

cudaError_t cudaPeekAtLastError() { return cuda_emulation::last_error; }

cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : Report(cudaErrorInvalidDevice);
}

cudaError_t cudaMalloc(void** pointer, std::size_t size) {
  constexpr std::size_t kPage = 4096;
  const std::size_t rounded = (size + kPage - 1) / kPage * kPage;
  *pointer = nullptr;
  if (size == 0) return cudaSuccess;
  void* memory =
      mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Report(cudaErrorMemoryAllocation);
  std::memset(memory, 0xff, rounded);
  if (cuda_emulation::open_count == 0) mprotect(memory, rounded, PROT_NONE);
  Allocations()[reinterpret_cast<std::uintptr_t>(memory)] = rounded;
  *pointer = memory;
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  if (!pointer) return cudaSuccess;
  const auto found = Allocations().find(reinterpret_cast<std::uintptr_t>(pointer));
  if (found == Allocations().end()) return Report(cudaErrorInvalidValue);
  munmap(pointer, found->second);
  Allocations().erase(found);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size,
                       cudaMemcpyKind /*kind*/) {
  const DeviceAccess access;
  std::memmove(to, from, size);
  return cudaSuccess;
}

cudaError_t cudaMemset(void* pointer, int value, std::size_t size) {
  if (size > 0 && !cuda_emulation::IsDevicePointer(pointer)) {
    return Report(cudaErrorInvalidValue);
  }
  const DeviceAccess access;
  std::memset(pointer, value, size);
  return cudaSuccess;
}
}
