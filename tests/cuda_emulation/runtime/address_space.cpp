#include "address_space.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cuda_emulation::runtime {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kFreedRemembered = 4096;
constexpr unsigned char kNaN = 0xff;

std::size_t PageBytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

void* Pointer(std::uintptr_t address) { return reinterpret_cast<void*>(address); }

std::size_t RoundUp(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// The bytes around an allocation, from an even address on: NaN to who reads them as
/// float, double, half or bfloat16, and unlike new memory, so that a NaN written there is
/// seen.
constexpr auto kSurroundings = [] {
  std::array<unsigned char, kAlignment + 1> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i % 2 == 0 ? 0xfd : 0xff;
  return bytes;
}();

/// Calls function(address, expected, bytes) for what is around the allocation within its
/// pages, at most the alignment on each side.
template <typename Function>
void ForSurroundings(const Allocation& allocation, Function function) {
  const std::size_t before =
      std::min(allocation.begin - allocation.pages_begin, kAlignment);
  function(Pointer(allocation.begin - before), &kSurroundings[0], before);
  function(Pointer(allocation.end()), &kSurroundings[allocation.end() % 2],
           allocation.pages_end - allocation.end());
}

}  // namespace

void ProtectPages(std::uintptr_t address, std::size_t bytes, bool open) {
  const std::uintptr_t first = address / PageBytes() * PageBytes();
  const std::size_t length = RoundUp(address + bytes - first, PageBytes());
  if (mprotect(Pointer(first), length, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0) {
    std::perror("cuda_emulation: mprotect");
    std::abort();
  }
}

void Allocation::SetOpen(bool value) {
  ProtectPages(pages_begin, pages_end - pages_begin, value);
  open = value;
}

bool Allocation::SurroundingsIntact() const {
  bool intact = true;
  ForSurroundings(*this, [&](void* memory, const void* expected, std::size_t size) {
    intact &= std::memcmp(memory, expected, size) == 0;
  });
  return intact;
}

void AddressSpace::Reserve() {
  for (range_bytes_ = range_wanted_; range_bytes_ >= PageBytes(); range_bytes_ /= 2) {
    void* range = mmap(nullptr, range_bytes_, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) continue;
    range_begin_ = reinterpret_cast<std::uintptr_t>(range);
    next_ = range_begin_ + PageBytes();
    return;
  }
  std::perror("cuda_emulation: no addresses for a device");
  std::abort();
}

/// The first gap at or after `next_`, or after the beginning, for `bytes` between two
/// closed pages; 0 if there is none.
std::uintptr_t AddressSpace::Place(std::size_t bytes) {
  const std::uintptr_t range_end = range_begin_ + range_bytes_;
  for (std::uintptr_t place : {next_, range_begin_ + PageBytes()}) {
    auto after = allocations_.upper_bound(place);
    if (after != allocations_.begin()) {
      place = std::max(place, std::prev(after)->second.pages_end + PageBytes());
    }
    while (after != allocations_.end() &&
           place + bytes + PageBytes() > after->second.pages_begin) {
      place = after->second.pages_end + PageBytes();
      ++after;
    }
    if (place < range_end && range_end - place >= bytes + PageBytes()) return place;
  }
  return 0;
}

Allocation* AddressSpace::Allocate(std::size_t bytes) {
  if (range_bytes_ == 0) Reserve();
  if (bytes > range_bytes_) return nullptr;
  const std::size_t aligned = RoundUp(bytes, kAlignment);
  const std::size_t pages = RoundUp(aligned, PageBytes());
  const std::uintptr_t place = Place(pages);
  if (place == 0) return nullptr;
  void* memory = Pointer(place);
  if (mprotect(memory, pages, PROT_READ | PROT_WRITE) != 0) return nullptr;
  std::memset(memory, kNaN, pages);
  Allocation& allocation = allocations_[place];
  allocation = {device_, place + pages - aligned, bytes, place, place + pages, true};
  ForSurroundings(allocation, std::memcpy);
  allocation.SetOpen(false);
  next_ = allocation.pages_end + PageBytes();
  used_ += aligned;
  return &allocation;
}

void AddressSpace::Free(Allocation* allocation) {
  // New pages in their place: the memory is given back.
  void* fresh = mmap(Pointer(allocation->pages_begin),
                     allocation->pages_end - allocation->pages_begin, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (fresh == MAP_FAILED) {
    std::perror("cuda_emulation: mmap");
    std::abort();
  }
  freed_.push_back({allocation->pages_begin, allocation->pages_end, allocation->bytes});
  if (freed_.size() > kFreedRemembered) freed_.pop_front();
  used_ -= RoundUp(allocation->bytes, kAlignment);
  allocations_.erase(allocation->pages_begin);
}

Allocation* AddressSpace::Find(std::uintptr_t address) {
  auto next = allocations_.upper_bound(address);
  if (next == allocations_.begin()) return nullptr;
  Allocation& allocation = std::prev(next)->second;
  return address < allocation.pages_end ? &allocation : nullptr;
}

std::string AddressSpace::Describe(std::uintptr_t address) {
  const std::string on = " on device " + std::to_string(device_);
  if (const Allocation* allocation = Find(address)) {
    return "an allocation of " + std::to_string(allocation->bytes) + " bytes" + on;
  }
  for (auto freed = freed_.rbegin(); freed != freed_.rend(); ++freed) {
    if (address >= freed->begin && address < freed->end) {
      return "freed memory, once an allocation of " + std::to_string(freed->bytes) +
             " bytes" + on;
    }
  }
  const auto next = allocations_.upper_bound(address);
  if (next != allocations_.begin()) {
    const Allocation& before = std::prev(next)->second;
    if (address - before.end() < 16 * PageBytes()) {
      return std::to_string(address - before.end()) +
             " bytes past the end of an allocation of " + std::to_string(before.bytes) +
             " bytes" + on;
    }
  }
  if (next != allocations_.end() && next->second.begin - address < 16 * PageBytes()) {
    return std::to_string(next->second.begin - address) +
           " bytes before an allocation of " + std::to_string(next->second.bytes) +
           " bytes" + on;
  }
  return "memory that nobody allocated" + on;
}

}  // namespace cuda_emulation::runtime
