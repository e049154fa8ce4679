#ifndef CUDA_EMULATION_NCCL_WORLD_H_
#define CUDA_EMULATION_NCCL_WORLD_H_

#include <nccl.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace cuda_emulation {

struct Collective;

/// What the ranks of one communicator share.
struct World {
  explicit World(int ranks) : devices(ranks, kAbsent) {}

  static constexpr int kAbsent = -1;

  std::mutex mutex;
  std::condition_variable changed;
  /// By rank; kAbsent before it has come.
  std::vector<int> devices;
  int come = 0;
  bool is_aborted = false;
  /// Those that some rank has called and some other has not, by their number.
  std::map<std::uint64_t, std::shared_ptr<Collective>> open;

  int size() const { return static_cast<int>(devices.size()); }

  /// Waits, with the mutex locked, until `is_ready`. ncclRemoteError when a rank aborted;
  /// ncclTimeout, and a sentence with `who_is_missing`, when it takes too long.
  ncclResult_t WaitUntil(std::unique_lock<std::mutex>* lock,
                         const std::function<bool()>& is_ready,
                         const std::function<std::string()>& who_is_missing);
};

/// A call in two halves: what can be done at once, and what needs the other ranks. Within
/// a group all first halves are done before any second one.
struct GroupedCall {
  std::function<ncclResult_t()> begin;
  std::function<ncclResult_t()> finish;
};

/// Makes the call, or keeps it for the end of this thread's group.
ncclResult_t Make(GroupedCall call);

/// Makes a device current while it lives.
class CurrentDeviceScope {
 public:
  explicit CurrentDeviceScope(int device);
  ~CurrentDeviceScope();
  CurrentDeviceScope(const CurrentDeviceScope&) = delete;
  CurrentDeviceScope& operator=(const CurrentDeviceScope&) = delete;

 private:
  int before_;
};

}  // namespace cuda_emulation

struct ncclComm {
  std::shared_ptr<cuda_emulation::World> world;
  int rank;
  int device;
  /// How many collectives it has called.
  std::uint64_t calls = 0;
};

#endif  // CUDA_EMULATION_NCCL_WORLD_H_
