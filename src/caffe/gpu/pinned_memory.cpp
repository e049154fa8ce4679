// Page-locked memory of the host.

#include "caffe/gpu/pinned_memory.hpp"

#include <map>
#include <mutex>
#include <unordered_map>

#include "caffe/common.hpp"

namespace caffe {
namespace device {
namespace {

// To lock memory takes the driver milliseconds, so that what is freed is kept. Equal
// requests come again: batches of one size.
constexpr std::size_t kStep = 4096;

class PinnedCache {
 public:
  void* Allocate(std::size_t bytes) {
    const std::size_t size = (bytes + kStep - 1) / kStep * kStep + (bytes == 0) * kStep;
    const std::lock_guard lock(mutex_);
    const auto found = free_.lower_bound(size);
    // Not twice what was asked for.
    if (found != free_.end() && found->first <= 2 * size) {
      void* memory = found->second;
      free_.erase(found);
      return memory;
    }
    ++allocations_;
    void* memory = Lock(size);
    if (memory) sizes_[memory] = size;
    return memory;
  }

  void Free(void* memory) {
    const std::lock_guard lock(mutex_);
    free_.emplace(sizes_.at(memory), memory);
  }

  std::size_t allocations() {
    const std::lock_guard lock(mutex_);
    return allocations_;
  }

 private:
  // Null where it cannot be had, also after giving back what nobody uses.
  void* Lock(std::size_t size) {
    void* memory = nullptr;
    // For all devices: the same batches may go to another one later.
    cudaError_t error = cudaHostAlloc(&memory, size, cudaHostAllocPortable);
    if (error != cudaSuccess && !free_.empty()) {
      cudaGetLastError();
      for (const auto& [freed, unused] : free_) {
        cudaFreeHost(unused);
        sizes_.erase(unused);
      }
      free_.clear();
      error = cudaHostAlloc(&memory, size, cudaHostAllocPortable);
    }
    if (error == cudaSuccess) return memory;
    cudaGetLastError();
    LOG_FIRST_N(WARNING, 1) << "no page-locked memory for " << size
                            << " bytes (CUDA: " << cudaGetErrorString(error)
                            << "): batches go to the GPU from memory of the usual kind, "
                               "which takes longer";
    return nullptr;
  }

  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  std::unordered_map<void*, std::size_t> sizes_;  ///< of what is locked
  std::size_t allocations_ = 0;
};

// Never destroyed: layers may free memory while the process ends.
PinnedCache& Pinned() {
  static auto* cache = new PinnedCache;
  return *cache;
}

}  // namespace

void* AllocatePinned(std::size_t bytes) { return Pinned().Allocate(bytes); }
void FreePinned(void* memory) noexcept { Pinned().Free(memory); }
std::size_t PinnedAllocations() { return Pinned().allocations(); }

}  // namespace device
}  // namespace caffe
