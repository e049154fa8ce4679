#include "caffe/host_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>

namespace caffe {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Smaller buffers are cheap to get anew.
constexpr std::size_t kPooled = std::size_t{1} << 16;

thread_local HostMemoryPool* current_pool = nullptr;

std::size_t RoundUp(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::size_t PhysicalMemory() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? std::size_t(pages) * std::size_t(page) : 0;
}

}  // namespace

// A range of addresses as long as the machine's memory, of which pages are taken when
// they are first written. Buffers are cut from it by best fit, the lowest of equals, so
// that what is in use stays together. Guarded by Arenas::mutex.
class HostMemoryArena {
 public:
  HostMemoryArena() : capacity_(RoundUp(PhysicalMemory(), kHugePage)) {
    if (capacity_ == 0) return;
    void* range = mmap(nullptr, capacity_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) return;
    base_ = static_cast<char*>(range);
    madvise(base_, capacity_, MADV_HUGEPAGE);
    free_[0] = capacity_;
  }
  ~HostMemoryArena() {
    if (base_) munmap(base_, capacity_);
  }

  const char* base() const { return base_; }
  bool Holds(const void* pointer) const {
    return pointer >= base_ && pointer < base_ + capacity_;
  }
  bool in_use() const { return !taken_.empty(); }
  std::size_t free_bytes() const { return mapped_ - taken_bytes_; }

  // Null when there is no room.
  void* Take(std::size_t size) {
    size = RoundUp(size, kPage);
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second >= size && (best == free_.end() || it->second < best->second)) {
        best = it;
      }
    }
    if (best == free_.end()) return nullptr;
    const auto [offset, room] = *best;
    free_.erase(best);
    if (room > size) free_[offset + size] = room - size;
    taken_[offset] = size;
    taken_bytes_ += size;
    needed_ = std::max(needed_, offset + size);
    mapped_ = std::max(mapped_, needed_);
    return base_ + offset;
  }

  void Give(void* pointer) {
    const auto taken = taken_.find(static_cast<char*>(pointer) - base_);
    if (taken == taken_.end()) {  // destructors call this: nothing may be thrown
      LOG(ERROR) << "FreeHostMemory() got a pointer that is not in use";
      return;
    }
    std::size_t offset = taken->first, size = taken->second;
    taken_.erase(taken);
    taken_bytes_ -= size;
    const auto next = free_.lower_bound(offset);
    if (next != free_.begin()) {
      const auto previous = std::prev(next);
      if (previous->first + previous->second == offset) {
        offset = previous->first;
        size += previous->second;
        free_.erase(previous);
      }
    }
    if (next != free_.end() && next->first == offset + size) {
      size += next->second;
      free_.erase(next);
    }
    free_[offset] = size;
  }

  // Nobody takes from it any more.
  void Close() {
    closed_ = true;
    for (const auto& [offset, size] : free_) madvise(base_ + offset, size, MADV_DONTNEED);
  }
  bool closed() const { return closed_; }

  void Trim() {
    if (!base_) return;
    const std::size_t kept = RoundUp(needed_, kHugePage);
    if (mapped_ > kept) madvise(base_ + kept, mapped_ - kept, MADV_DONTNEED);
    mapped_ = needed_;
    // The last free span reaches to the end.
    const auto last = free_.empty() ? free_.end() : std::prev(free_.end());
    const bool open = last != free_.end() && last->first + last->second == capacity_;
    needed_ = open ? last->first : capacity_;
  }

 private:
  char* base_ = nullptr;
  std::size_t capacity_;
  std::map<std::size_t, std::size_t> free_;             // offset to size; none touch
  std::unordered_map<std::size_t, std::size_t> taken_;  // offset to size
  bool closed_ = false;
  std::size_t taken_bytes_ = 0;
  std::size_t mapped_ = 0;  // all pages in use lie below
  std::size_t needed_ = 0;  // all buffers taken since the last Trim() lie below

  DISABLE_COPY_AND_ASSIGN(HostMemoryArena);
};

namespace {

// All arenas with buffers in use, or a pool.
struct Arenas {
  std::mutex mutex;
  std::map<const char*, std::shared_ptr<HostMemoryArena>> by_base;

  std::shared_ptr<HostMemoryArena> Of(const void* pointer) {
    const auto above = by_base.upper_bound(static_cast<const char*>(pointer));
    if (above == by_base.begin()) return nullptr;
    const auto& arena = std::prev(above)->second;
    return arena->Holds(pointer) ? arena : nullptr;
  }
};

// Never destroyed: threads may free memory while the process ends.
Arenas& AllArenas() {
  static Arenas* arenas = new Arenas;
  return *arenas;
}

}  // namespace

void* AllocateHostMemory(std::size_t size, bool zero) {
  void* pointer = nullptr;
  if (current_pool && size >= kPooled) {
    const std::lock_guard lock(AllArenas().mutex);
    pointer = current_pool->arena_->Take(size);
  }
  if (!pointer) {
    // Large buffers start on a huge page: fewer TLB misses in every kernel.
    const std::size_t alignment = size >= 2 * kHugePage ? kHugePage : kCacheLine;
    const std::size_t rounded = RoundUp(size ? size : 1, alignment);
    pointer = std::aligned_alloc(alignment, rounded);
    if (!pointer) {
      throw RuntimeFailure(Str("out of memory: ", size,
                               " bytes could not be allocated; "
                               "use a smaller batch or image"));
    }
    if (alignment == kHugePage) madvise(pointer, rounded, MADV_HUGEPAGE);
  }
  if (zero) std::memset(pointer, 0, size);
  return pointer;
}

void FreeHostMemory(void* pointer) {
  if (!pointer) return;
  {
    Arenas& all = AllArenas();
    const std::lock_guard lock(all.mutex);
    if (const auto arena = all.Of(pointer)) {
      arena->Give(pointer);
      if (arena->closed() && !arena->in_use()) all.by_base.erase(arena->base());
      return;
    }
  }
  std::free(pointer);
}

HostMemoryPool::HostMemoryPool() : arena_(std::make_shared<HostMemoryArena>()) {
  const std::lock_guard lock(AllArenas().mutex);
  if (arena_->base()) AllArenas().by_base[arena_->base()] = arena_;
}

HostMemoryPool::~HostMemoryPool() {
  const std::lock_guard lock(AllArenas().mutex);
  arena_->Close();
  if (!arena_->in_use()) AllArenas().by_base.erase(arena_->base());
}

HostMemoryPool::Scope::Scope(HostMemoryPool* pool) : outer_(current_pool) {
  if (pool) current_pool = pool;
}

HostMemoryPool::Scope::~Scope() { current_pool = outer_; }

void HostMemoryPool::Trim() {
  const std::lock_guard lock(AllArenas().mutex);
  arena_->Trim();
}

std::size_t HostMemoryPool::free_bytes() const {
  const std::lock_guard lock(AllArenas().mutex);
  return arena_->free_bytes();
}

}  // namespace caffe
