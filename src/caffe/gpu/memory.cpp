// Device memory and copies.

#include <memory>
#include <utility>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/device.hpp"
#include "caffe/gpu/memory_cache.hpp"
#include "caffe/gpu/pinned_memory.hpp"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace device {
namespace {

thread_local const void* present_owner = nullptr;

std::vector<std::unique_ptr<MemoryCache>>& Caches() {
  // Blobs of static storage may be freed after every destructor of this library.
  static auto* caches = [] {
    int count = 0;
    CUDA_CHECK(cudaGetDeviceCount(&count));
    auto* made = new std::vector<std::unique_ptr<MemoryCache>>();
    for (int id = 0; id < count; ++id) made->push_back(std::make_unique<MemoryCache>(id));
    return made;
  }();
  return *caches;
}

bool IsOnDevice(const void* pointer) {
  cudaPointerAttributes attributes;
  CUDA_CHECK(cudaPointerGetAttributes(&attributes, pointer));
  return attributes.type == cudaMemoryTypeDevice;
}

}  // namespace

MemoryCache& MemoryCache::OfSelected() { return *Caches().at(Selected()); }

AllocatingFor::AllocatingFor(const void* owner)
    : before_(std::exchange(present_owner, owner)) {}
AllocatingFor::~AllocatingFor() { present_owner = before_; }

void* Allocate(std::size_t bytes) {
  return MemoryCache::OfSelected().Allocate(bytes, present_owner);
}

void Free(void* memory) noexcept {
  if (!memory) return;
  for (const auto& cache : Caches()) {
    if (cache->Free(memory)) return;
  }
}

void Touch(const void* memory) {
  // Only what is recorded is of interest.
  if (LaunchStream()) MemoryCache::OfSelected().Touch(memory);
}

void TrimCache() { MemoryCache::OfSelected().Trim(); }
MemoryCounts CountMemory() {
  MemoryCounts counts = MemoryCache::OfSelected().Count();
  counts.pinned_allocations = PinnedAllocations();
  return counts;
}
void ResetPeak() { MemoryCache::OfSelected().ResetPeak(); }

void Copy(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  if (!LaunchStream()) {
    CUDA_CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
    return;
  }
  if (!IsOnDevice(to) || !IsOnDevice(from)) {
    throw RuntimeFailure(
        Str("a copy of ", bytes, " bytes between host and GPU cannot be recorded"));
  }
  CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, LaunchStream()));
}

void Fill(void* memory, int value, std::size_t bytes) {
  if (bytes == 0) return;
  if (!LaunchStream()) {
    CUDA_CHECK(cudaMemset(memory, value, bytes));
    return;
  }
  CUDA_CHECK(cudaMemsetAsync(memory, value, bytes, LaunchStream()));
}

}  // namespace device
}  // namespace caffe
