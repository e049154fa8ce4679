#include "caffe/gpu/memory_cache.hpp"

#include <algorithm>

namespace caffe {
namespace device {
namespace {

constexpr std::size_t kSmallStep = 512, kLargeStep = std::size_t{2} << 20;

thread_local RecordedMemory* recording = nullptr;

// Equal requests must find each other's memory again, and almost equal ones should.
std::size_t Rounded(std::size_t bytes) {
  const std::size_t step = bytes < kLargeStep ? kSmallStep : kLargeStep;
  return std::max((bytes + step - 1) / step * step, kSmallStep);
}

// A piece of `has` bytes does not waste more than an eighth.
bool Fits(std::size_t has, std::size_t size) {
  return has >= size && has - size <= size / 8;
}

}  // namespace

void* MemoryCache::Allocate(std::size_t bytes, const void* owner) {
  const std::size_t size = Rounded(bytes);
  const std::lock_guard lock(mutex_);
  void* memory = recording ? TakeRecorded(*recording, size) : nullptr;
  if (!memory) memory = Take(size);
  if (!memory) memory = FromDriver(bytes, size, owner);
  Piece& piece = pieces_.at(memory);
  piece.used = true;
  piece.holding.owner = owner;
  cached_ -= piece.holding.bytes;
  used_ += piece.holding.bytes;
  peak_ = std::max(peak_, used_);
  if (recording) Add(recording, memory);
  return memory;
}

bool MemoryCache::Free(void* memory) {
  const std::lock_guard lock(mutex_);
  const auto found = pieces_.find(memory);
  if (found == pieces_.end()) return false;
  Piece& piece = found->second;
  piece.used = false;
  used_ -= piece.holding.bytes;
  cached_ += piece.holding.bytes;
  if (piece.graphs == 0) free_.emplace(piece.holding.bytes, memory);
  return true;
}

void MemoryCache::Trim() {
  const std::lock_guard lock(mutex_);
  GiveBack();
}

MemoryCounts MemoryCache::Count() {
  const std::lock_guard lock(mutex_);
  return {used_, peak_, cached_, driver_allocations_, 0};
}

void MemoryCache::ResetPeak() {
  const std::lock_guard lock(mutex_);
  peak_ = used_;
}

void MemoryCache::Record(RecordedMemory* memory) { recording = memory; }

void MemoryCache::Touch(const void* memory) {
  if (!recording) return;
  const std::lock_guard lock(mutex_);
  void* piece = const_cast<void*>(memory);
  if (pieces_.count(piece)) Add(recording, piece);
}

void MemoryCache::Register(RecordedMemory* memory) {
  const std::lock_guard lock(mutex_);
  recorded_.insert(memory);
}

void MemoryCache::Unregister(RecordedMemory* memory) {
  const std::lock_guard lock(mutex_);
  Lose(memory);
  recorded_.erase(memory);
}

// The smallest piece that fits.
void* MemoryCache::Take(std::size_t size) {
  const auto found = free_.lower_bound(size);
  if (found == free_.end() || !Fits(found->first, size)) return nullptr;
  void* memory = found->second;
  free_.erase(found);
  return memory;
}

// The same of what was recorded, and freed since, by the owner of `memory` alone: its
// work runs in the order in which it was recorded.
void* MemoryCache::TakeRecorded(const RecordedMemory& memory, std::size_t size) const {
  void* best = nullptr;
  std::size_t best_bytes = 0;
  for (void* candidate : memory.pieces) {
    const Piece& piece = pieces_.at(candidate);
    const std::size_t bytes = piece.holding.bytes;
    if (piece.used || piece.graphs > 1 || !Fits(bytes, size)) continue;
    if (best && bytes >= best_bytes) continue;
    best = candidate;
    best_bytes = bytes;
  }
  return best;
}

void* MemoryCache::FromDriver(std::size_t bytes, std::size_t size, const void* owner) {
  void* memory = nullptr;
  cudaError_t error = cudaMalloc(&memory, size);
  const auto try_again = [&] {
    cudaGetLastError();
    GiveBack();
    error = cudaMalloc(&memory, size);
  };
  if (error == cudaErrorMemoryAllocation && !free_.empty()) try_again();
  if (error == cudaErrorMemoryAllocation) {
    for (RecordedMemory* recorded : recorded_) {
      if (recorded != recording) Lose(recorded);
    }
    if (!free_.empty()) try_again();
  }
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t available = 0, total = 0;
    cudaMemGetInfo(&available, &total);
    throw MemoryFailure(
        Str("GPU ", id_, " has no memory for ", bytes, " bytes more: this process holds ",
            used_, ", ", available, " of ", total,
            " are free; take a smaller batch or image, or end other programs on this "
            "GPU"),
        owner, Holdings());
  }
  CUDA_CHECK(error);
  ++driver_allocations_;
  pieces_[memory] = {{size, owner}, false, 0};
  cached_ += size;
  return memory;
}

void MemoryCache::Add(RecordedMemory* memory, void* piece) {
  if (memory->pieces.insert(piece).second) ++pieces_.at(piece).graphs;
}

void MemoryCache::Lose(RecordedMemory* memory) {
  for (void* address : memory->pieces) {
    Piece& piece = pieces_.at(address);
    if (--piece.graphs == 0 && !piece.used) {
      free_.emplace(piece.holding.bytes, address);
    }
  }
  memory->pieces.clear();
  memory->lost = true;
}

std::vector<Holding> MemoryCache::Holdings() const {
  std::vector<Holding> holdings;
  for (const auto& [memory, piece] : pieces_) {
    if (piece.used) holdings.push_back(piece.holding);
  }
  return holdings;
}

void MemoryCache::GiveBack() {
  for (const auto& [size, memory] : free_) {
    cudaFree(memory);
    pieces_.erase(memory);
    cached_ -= size;
  }
  free_.clear();
}

}  // namespace device
}  // namespace caffe
