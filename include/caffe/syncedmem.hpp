#ifndef CAFFE_SYNCEDMEM_HPP_
#define CAFFE_SYNCEDMEM_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {

/// A copy of a memory in some engine's own layout.
class PackedTensor {
 public:
  virtual ~PackedTensor() = default;
  /// Writes the plain, row-major (N, C, H, W) copy to `plain`.
  virtual void UnpackTo(void* plain) const = 0;
  /// The same to device memory, if this copy lies there; else returns false.
  virtual bool UnpackOnDevice(void* /*plain*/) const { return false; }
  virtual std::size_t bytes() const = 0;
};

/// A block of memory whose newest copy may lie on the host, on the device, or in
/// an engine's packed layout; copies are made on demand and only then.
///
/// Invariant: the copies that are valid hold the same values. Asking for a
/// mutable pointer invalidates every other copy.
///
/// A *pinned* memory has a host pointer that outsiders keep and read or write
/// without telling (a NumPy view, set_cpu_data). Net settles such memories
/// whenever it returns to its caller: the host copy is then the newest and no
/// other copy is trusted. A pinned host buffer lives as long as this object, even
/// when set_cpu_data or LeaveBuffer puts another in its place.
///
/// Device memory is pinned likewise (PinOnDevice). Settling brings the plain copy there
/// up to date, and if its holders may write to it, no other copy is trusted. A host copy
/// that is pinned too comes first, so who may write holds one of the two.
class SyncedMemory {
 public:
  SyncedMemory();
  explicit SyncedMemory(std::size_t size);
  ~SyncedMemory();

  /// Host copy, zero-filled when nothing has been written yet.
  const void* cpu_data();
  void set_cpu_data(void* data);
  const void* gpu_data();
  void set_gpu_data(void* data);
  void* mutable_cpu_data();
  void* mutable_gpu_data();
  /// Like mutable_cpu_data() and mutable_gpu_data(), for a caller that writes every
  /// element: the present values are not brought there first.
  void* overwrite_cpu_data();
  void* overwrite_gpu_data();
  /// For a caller that writes the same values to both.
  void overwrite_both(void** cpu_data, void** gpu_data);

  /// Where the newest copy is; HEAD_PACKED only when no plain copy is valid.
  enum SyncedHead { UNINITIALIZED, HEAD_AT_CPU, HEAD_AT_GPU, SYNCED, HEAD_PACKED };
  SyncedHead head() const { return head_; }
  std::size_t size() const { return size_; }

  /// The packed copy if it is valid, else null.
  std::shared_ptr<PackedTensor> packed() const;
  /// The packed buffer of an earlier write, valid or not, so it can be reused.
  const std::shared_ptr<PackedTensor>& packed_storage() const { return packed_; }
  /// Declares `tensor` the newest copy.
  void set_packed(std::shared_ptr<PackedTensor> tensor);
  /// Stores `tensor` beside the valid plain copy, whose values it holds.
  void cache_packed(std::shared_ptr<PackedTensor> tensor);

  /// Counts a holder of the host pointer; see the class comment.
  void Pin();
  void Unpin();
  int pins() const { return pins_; }
  /// Goes on in a new host buffer: those who hold the present one keep its values.
  void LeaveBuffer();
  /// False after set_cpu_data: the values lie in somebody else's buffer.
  bool owns_cpu_data() const { return own_cpu_data_; }
  bool pinned() const { return pins_ > 0 || (cpu_ptr_ && !own_cpu_data_); }
  /// Counts a holder of the device pointer, who may write there or not; see the class
  /// comment.
  void PinOnDevice(bool writes);
  void UnpinOnDevice(bool writes);
  bool pinned_on_device() const { return device_pins_ > 0; }
  bool written_on_device() const { return device_writers_ > 0; }
  /// If pinned, brings what is held up to date; of what may be written forgets all other
  /// copies.
  void Settle();

  /// Frees all copies: the values are gone, and whoever reads them before they are
  /// written again gets a RuntimeError with this sentence. Does nothing to a memory
  /// that outsiders hold (pinned(), pinned_on_device()).
  void Discard(const std::string& why);
  /// Whether the values are gone.
  bool discarded() const { return !discarded_.empty(); }
  /// Takes Discard back: the memory reads as zeros, as one that was never written.
  void Renew() { discarded_.clear(); }
  /// Frees the host copy when a valid packed one holds the same values.
  void KeepPackedOnly();
  /// Frees the packed copy, valid or not, when a plain one is valid.
  void KeepPlainOnly();

  /// Where the device's copies lie, and which are valid: what recorded work, which has
  /// their addresses, needs and leaves.
  struct DeviceCopies {
    const void* plain = nullptr;
    SyncedHead head = UNINITIALIZED;
    std::shared_ptr<PackedTensor> packed;  ///< null: not valid
  };
  DeviceCopies device_copies() const { return {gpu_ptr_, head_, packed()}; }
  /// While it is held, Discard leaves the device's buffers where they are.
  void HoldDevice() { ++device_holds_; }
  void ReleaseDevice();
  /// The device has written the values again into the copies that it left then, which
  /// were held since.
  void DeviceWrote(const DeviceCopies& copies);

  /// Changes whenever the values may have changed; kept in step with pinned memories
  /// by Settle().
  std::uint64_t version() const { return version_; }

  /// Bytes this memory holds now in all its copies.
  std::size_t allocated_bytes() const;

 private:
  void to_cpu();
  void to_gpu();
  void AllocateHost(bool zero);
  void AllocateDevice();
  void FreeDevice();
  void Written();
  void CheckKept() const;

  void* cpu_ptr_;
  void* gpu_ptr_;
  std::size_t size_;
  SyncedHead head_;
  bool own_cpu_data_;
  bool own_gpu_data_;
  int device_holds_ = 0;
  std::atomic<int> pins_;  // views die in threads of their own
  std::atomic<int> device_pins_{0}, device_writers_{0};
  std::vector<void*> retired_, retired_on_device_;
  bool packed_valid_;
  std::shared_ptr<PackedTensor> packed_;
  std::uint64_t version_ = 0;
  std::string discarded_;

  DISABLE_COPY_AND_ASSIGN(SyncedMemory);
};

}  // namespace caffe

#endif  // CAFFE_SYNCEDMEM_HPP_
