#ifndef CAFFE_GPU_MEMORY_CACHE_HPP_
#define CAFFE_GPU_MEMORY_CACHE_HPP_

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/device.hpp"

namespace caffe {
namespace device {

/// Pieces of one device's memory that a Graph has the addresses of. They are kept from
/// others until it goes, or the device has no other memory left.
struct RecordedMemory {
  std::set<void*> pieces;
  /// Its pieces were given away: what was recorded must not run any more.
  bool lost = false;
};

/// What was freed on one device, by size, to be handed out again: cudaMalloc waits for
/// the device and takes longer than many a kernel. Work of all threads runs on the
/// default stream, in one order, so that memory may have a new owner before its old one's
/// last kernel has run.
class MemoryCache {
 public:
  explicit MemoryCache(int id) : id_(id) {}
  static MemoryCache& OfSelected();

  void* Allocate(std::size_t bytes, const void* owner);
  /// False if it is not of this cache.
  bool Free(void* memory);
  void Trim();
  MemoryCounts Count();
  void ResetPeak();

  /// From now on, what this thread allocates or touches here belongs to `memory` as well.
  /// Null ends that.
  void Record(RecordedMemory* memory);
  void Touch(const void* memory);
  /// Has `work` done unless the memory is lost, which it cannot be meanwhile.
  template <typename Work>
  bool With(const RecordedMemory& memory, Work work) {
    const std::lock_guard lock(mutex_);
    if (!memory.lost) work();
    return !memory.lost;
  }
  void Register(RecordedMemory* memory);
  void Unregister(RecordedMemory* memory);

 private:
  struct Piece {
    Holding holding;
    bool used;
    int graphs;  ///< that have it
  };

  void* Take(std::size_t size);
  void* TakeRecorded(const RecordedMemory& memory, std::size_t size) const;
  void* FromDriver(std::size_t bytes, std::size_t size, const void* owner);
  void Add(RecordedMemory* memory, void* piece);
  void Lose(RecordedMemory* memory);
  std::vector<Holding> Holdings() const;
  void GiveBack();

  const int id_;
  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;  ///< neither in use nor recorded
  std::unordered_map<void*, Piece> pieces_;
  std::set<RecordedMemory*> recorded_;
  std::size_t used_ = 0, peak_ = 0, cached_ = 0, driver_allocations_ = 0;
  DISABLE_COPY_AND_ASSIGN(MemoryCache);
};

}  // namespace device
}  // namespace caffe

#endif  // CAFFE_GPU_MEMORY_CACHE_HPP_
