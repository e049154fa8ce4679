#ifndef CAFFE_DEVICE_HPP_
#define CAFFE_DEVICE_HPP_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "caffe/error.hpp"

namespace caffe {

/// What the host side of the library asks of GPUs. gpu/ has CUDA do it; in a build
/// without CUDA, no_gpu/ says that it cannot be done. Memory and work belong to the
/// device that the calling thread has selected (Caffe::SetDevice; 0 where none was).
///
/// All throw RuntimeError when the device fails.
namespace device {

/// Whether this library was built for GPUs.
bool Supported();
/// Throws, saying what is missing, unless a GPU can be used.
void Require();

/// GPUs that can be selected; 0 in a build without one, and where CUDA finds none.
int Count();
/// Of the calling thread, which starts with device 0.
int Selected();
void Select(int id);

/// While one lives, what this thread allocates is for `owner`, a SyncedMemory: a full
/// device tells whose memory is whose.
class AllocatingFor {
 public:
  explicit AllocatingFor(const void* owner);
  ~AllocatingFor();
  AllocatingFor(const AllocatingFor&) = delete;
  AllocatingFor& operator=(const AllocatingFor&) = delete;

 private:
  const void* before_;
};

/// A piece of device memory that is in use, and for whom; null if nobody has said.
struct Holding {
  std::size_t bytes;
  const void* owner;
};

/// A device has no memory for what was asked of it.
class MemoryFailure : public RuntimeFailure {
 public:
  MemoryFailure(const std::string& message, const void* owner,
                std::vector<Holding> holdings)
      : RuntimeFailure(message), owner_(owner), holdings_(std::move(holdings)) {}
  /// For whom it was asked.
  const void* owner() const { return owner_; }
  /// What is in use, in no order.
  const std::vector<Holding>& holdings() const { return holdings_; }

 private:
  const void* owner_;
  std::vector<Holding> holdings_;
};

/// Memory of the selected device, from a cache of what was freed (TrimCache). Throws
/// MemoryFailure if there is none.
void* Allocate(std::size_t bytes);
/// On any device and from any thread; null is ignored. Never throws.
void Free(void* memory) noexcept;
/// The work that this thread starts has the address of `memory`, or of none of
/// Allocate's: if it is being recorded (device_graph.hpp), the memory stays with it.
void Touch(const void* memory);
/// Gives cached memory of the selected device back to the driver.
void TrimCache();

/// Bytes in use on the selected device, the most since ResetPeak(), those that the cache
/// holds for nobody, and how often the driver was asked for memory, also of the host,
/// page-locked.
struct MemoryCounts {
  std::size_t used, peak, cached, driver_allocations, pinned_allocations;
};
MemoryCounts CountMemory();
void ResetPeak();

/// Between host and device or on a device, in the order of the thread's other work there.
/// A copy from or to the host is complete when the call returns; it cannot be recorded.
void Copy(void* to, const void* from, std::size_t bytes);
/// As memset.
void Fill(void* memory, int value, std::size_t bytes);

/// The device on which this memory lies.
int DeviceOf(const void* memory);

/// Other people's streams, by the numbers of DLPack and __cuda_array_interface__: 1 the
/// default one, 2 that of each thread, others a cudaStream_t.
using StreamNumber = std::uintptr_t;
/// The stream in which this thread's work runs.
StreamNumber OwnStream();
/// What is started in `stream` from now on begins when this thread's work so far is done.
void LetFollow(StreamNumber stream);

/// A moment in this thread's work on the selected device: when all that was started
/// before is done.
class Moment {
 public:
  Moment() = default;
  ~Moment();
  Moment(const Moment&) = delete;
  Moment& operator=(const Moment&) = delete;

  /// Makes ready, so that Record takes no time of its own.
  void Prepare();
  /// Sets the moment; does not wait for it.
  void Record();
  /// From another moment on the same device to this one, for which it waits.
  float MillisecondsSince(const Moment& earlier) const;

 private:
  void* event_ = nullptr;
  int device_ = 0;
};

/// Waits for all work that was started on the selected device.
void Synchronize();
/// Whether work that was started has failed there, so that none can run any more. Waits,
/// too.
bool HasFailed();

}  // namespace device
}  // namespace caffe

#endif  // CAFFE_DEVICE_HPP_
