// Device memory and copies.

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/device.hpp"

namespace caffe {
namespace device {
namespace {

thread_local const void* present_owner = nullptr;

constexpr std::size_t kSmallStep = 512, kLargeStep = std::size_t{2} << 20;

// Equal requests must find each other's memory again, and almost equal ones should.
std::size_t Rounded(std::size_t bytes) {
  const std::size_t step = bytes < kLargeStep ? kSmallStep : kLargeStep;
  return std::max((bytes + step - 1) / step * step, kSmallStep);
}

// What was freed on one device, by size, to be handed out again: cudaMalloc waits for the
// device and takes longer than many a kernel. Work of all threads runs on the default
// stream, in one order, so that memory may have a new owner before its old one's last
// kernel has run.
class Cache {
 public:
  explicit Cache(int id) : id_(id) {}

  void* Allocate(std::size_t bytes) {
    const std::size_t size = Rounded(bytes);
    const std::lock_guard lock(mutex_);
    void* memory = Take(size);
    if (!memory) memory = FromDriver(bytes, size);
    Holding& holding = pieces_.at(memory);
    holding.owner = present_owner;
    used_ += holding.bytes;
    peak_ = std::max(peak_, used_);
    return memory;
  }

  bool Free(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto found = pieces_.find(memory);
    if (found == pieces_.end()) return false;
    const std::size_t bytes = found->second.bytes;
    used_ -= bytes;
    cached_ += bytes;
    free_.emplace(bytes, memory);
    return true;
  }

  void Trim() {
    const std::lock_guard lock(mutex_);
    GiveBack();
  }

  MemoryCounts Count() {
    const std::lock_guard lock(mutex_);
    return {used_, peak_, cached_, driver_allocations_};
  }

  void ResetPeak() {
    const std::lock_guard lock(mutex_);
    peak_ = used_;
  }

 private:
  // The smallest piece that fits, if it does not waste more than an eighth.
  void* Take(std::size_t size) {
    const auto found = free_.lower_bound(size);
    if (found == free_.end() || found->first - size > size / 8) return nullptr;
    void* memory = found->second;
    cached_ -= found->first;
    free_.erase(found);
    return memory;
  }

  void* FromDriver(std::size_t bytes, std::size_t size) {
    void* memory = nullptr;
    cudaError_t error = cudaMalloc(&memory, size);
    if (error == cudaErrorMemoryAllocation && !free_.empty()) {
      cudaGetLastError();
      GiveBack();
      error = cudaMalloc(&memory, size);
    }
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      std::size_t available = 0, total = 0;
      cudaMemGetInfo(&available, &total);
      throw MemoryFailure(
          Str("GPU ", id_, " has no memory for ", bytes,
              " bytes more: this process holds ", used_, ", ", available, " of ", total,
              " are free; take a smaller batch or image, or end other programs on this "
              "GPU"),
          present_owner, Holdings());
    }
    CUDA_CHECK(error);
    ++driver_allocations_;
    pieces_[memory] = {size, present_owner};
    return memory;
  }

  // Nothing is free any more when this is asked for.
  std::vector<Holding> Holdings() const {
    std::vector<Holding> holdings;
    for (const auto& [memory, holding] : pieces_) holdings.push_back(holding);
    return holdings;
  }

  void GiveBack() {
    for (const auto& [size, memory] : free_) {
      cudaFree(memory);
      pieces_.erase(memory);
    }
    free_.clear();
    cached_ = 0;
  }

  const int id_;
  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  std::unordered_map<void*, Holding> pieces_;  ///< free or in use
  std::size_t used_ = 0, peak_ = 0, cached_ = 0, driver_allocations_ = 0;
};

std::vector<std::unique_ptr<Cache>>& Caches() {
  // Blobs of static storage may be freed after every destructor of this library.
  static auto* caches = [] {
    int count = 0;
    CUDA_CHECK(cudaGetDeviceCount(&count));
    auto* made = new std::vector<std::unique_ptr<Cache>>();
    for (int id = 0; id < count; ++id) made->push_back(std::make_unique<Cache>(id));
    return made;
  }();
  return *caches;
}

Cache& CacheOfSelected() { return *Caches().at(Selected()); }

}  // namespace

AllocatingFor::AllocatingFor(const void* owner)
    : before_(std::exchange(present_owner, owner)) {}
AllocatingFor::~AllocatingFor() { present_owner = before_; }

void* Allocate(std::size_t bytes) { return CacheOfSelected().Allocate(bytes); }

void Free(void* memory) noexcept {
  if (!memory) return;
  for (const auto& cache : Caches()) {
    if (cache->Free(memory)) return;
  }
}

void TrimCache() { CacheOfSelected().Trim(); }
MemoryCounts CountMemory() { return CacheOfSelected().Count(); }
void ResetPeak() { CacheOfSelected().ResetPeak(); }

void Copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) CUDA_CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
}

void Fill(void* memory, int value, std::size_t bytes) {
  if (bytes > 0) CUDA_CHECK(cudaMemset(memory, value, bytes));
}

}  // namespace device
}  // namespace caffe
