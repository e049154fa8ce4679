// NCCL's communicators and groups: how ranks find each other and wait.

#include <nccl.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "library_call.h"
#include "nccl_world.h"

namespace cuda_emulation {
namespace {

std::atomic<int> timeout_ms{60'000};

/// The calls that this thread keeps until its group ends.
struct Group {
  int depth = 0;
  std::vector<GroupedCall> calls;
};
thread_local Group group;

/// CUDA_EMULATION_FAIL=nccl: the devices of one process are not another's.
bool NcclIsMissing() {
  const char* wanted = std::getenv("CUDA_EMULATION_FAIL");
  return wanted && std::strcmp(wanted, "nccl") == 0;
}

ncclResult_t MakeAll(const std::vector<GroupedCall>& calls) {
  for (const GroupedCall& call : calls) {
    const ncclResult_t result = call.begin();
    if (result != ncclSuccess) return result;
  }
  for (const GroupedCall& call : calls) {
    const ncclResult_t result = call.finish();
    if (result != ncclSuccess) return result;
  }
  return ncclSuccess;
}

/// The worlds whose ranks are coming together, by their id.
std::shared_ptr<World> FindWorld(const std::string& id, int ranks) {
  static std::mutex mutex;
  static auto* const worlds = new std::map<std::string, std::weak_ptr<World>>();
  const std::lock_guard lock(mutex);
  std::weak_ptr<World>& entry = (*worlds)[id];
  std::shared_ptr<World> world = entry.lock();
  if (!world) entry = world = std::make_shared<World>(ranks);
  return world;
}

/// This rank has come, on `device`.
ncclResult_t Join(World* world, int ranks, int rank, int device) {
  const std::lock_guard lock(world->mutex);
  if (world->size() != ranks || world->devices[rank] != World::kAbsent) {
    std::fprintf(stderr,
                 "cuda_emulation: NCCL: rank %d of %d comes to a communicator of %d "
                 "ranks%s\n",
                 rank, ranks, world->size(),
                 world->size() == ranks ? ", where it is already" : "");
    return ncclInvalidUsage;
  }
  world->devices[rank] = device;
  ++world->come;
  world->changed.notify_all();
  return ncclSuccess;
}

/// Waits for the others; all must have devices of their own.
ncclResult_t WaitForAll(World* world) {
  std::unique_lock lock(world->mutex);
  const ncclResult_t result = world->WaitUntil(
      &lock, [&] { return world->come == world->size(); },
      [&] {
        std::string missing = "ncclCommInitRank: missing ranks";
        for (int rank = 0; rank < world->size(); ++rank) {
          if (world->devices[rank] == World::kAbsent) {
            missing += " " + std::to_string(rank);
          }
        }
        return missing;
      });
  if (result != ncclSuccess) return result;
  for (int rank = 0; rank < world->size(); ++rank) {
    for (int other = 0; other < rank; ++other) {
      if (world->devices[rank] == world->devices[other]) {
        std::fprintf(stderr,
                     "cuda_emulation: NCCL: ranks %d and %d both have device %d\n", other,
                     rank, world->devices[rank]);
        return ncclInvalidUsage;
      }
    }
  }
  return ncclSuccess;
}

}  // namespace

void SetNcclTimeout(int timeout) { timeout_ms = timeout; }

ncclResult_t World::WaitUntil(std::unique_lock<std::mutex>* lock,
                              const std::function<bool()>& is_ready,
                              const std::function<std::string()>& who_is_missing) {
  const auto limit = std::chrono::milliseconds(timeout_ms.load());
  if (!changed.wait_for(*lock, limit, [&] { return is_aborted || is_ready(); })) {
    std::fprintf(stderr, "cuda_emulation: NCCL: after %lld ms, %s\n",
                 static_cast<long long>(limit.count()), who_is_missing().c_str());
    is_aborted = true;
    changed.notify_all();
    return ncclTimeout;
  }
  return is_ready() ? ncclSuccess : ncclRemoteError;
}

ncclResult_t Make(GroupedCall call) {
  if (group.depth == 0) return MakeAll({std::move(call)});
  group.calls.push_back(std::move(call));
  return ncclSuccess;
}

CurrentDeviceScope::CurrentDeviceScope(int device) : before_(CurrentDevice()) {
  if (device != before_) cudaSetDevice(device);
}

CurrentDeviceScope::~CurrentDeviceScope() { cudaSetDevice(before_); }

}  // namespace cuda_emulation

using namespace cuda_emulation;  // NOLINT(build/namespaces)

ncclResult_t ncclGetVersion(int* version) {
  if (!version) return ncclInvalidArgument;
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "operation in progress";
    case ncclTimeout:
      return "operation timed out";
    case ncclNumResults:
      break;
  }
  return "unknown result code";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (!id) return ncclInvalidArgument;
  if (NcclIsMissing()) return ncclSystemError;
  static std::atomic<unsigned> count{0};
  std::memset(id->internal, 0, sizeof id->internal);
  std::snprintf(id->internal, sizeof id->internal, "emulated %u", ++count);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int nranks, ncclUniqueId id, int rank) {
  if (!comm || nranks < 1 || rank < 0 || rank >= nranks) return ncclInvalidArgument;
  *comm = nullptr;
  const int device = CurrentDevice();
  if (device < 0) return ncclUnhandledCudaError;
  const std::shared_ptr<World> world =
      FindWorld(std::string(id.internal, sizeof id.internal), nranks);
  return Make({[=] { return Join(world.get(), nranks, rank, device); },
               [=] {
                 const ncclResult_t result = WaitForAll(world.get());
                 if (result == ncclSuccess) *comm = new ncclComm{world, rank, device};
                 return result;
               }});
}

ncclResult_t ncclCommInitAll(ncclComm_t* comms, int count, const int* devices) {
  int available = 0;
  if (cudaGetDeviceCount(&available) != cudaSuccess) return ncclUnhandledCudaError;
  if (!comms || count < 1 || count > available) return ncclInvalidArgument;
  const auto world = std::make_shared<World>(count);
  for (int rank = 0; rank < count; ++rank) {
    const int device = devices ? devices[rank] : rank;
    if (device < 0 || device >= available) return ncclInvalidArgument;
    Join(world.get(), count, rank, device);
  }
  const ncclResult_t result = WaitForAll(world.get());
  if (result != ncclSuccess) return result;
  for (int rank = 0; rank < count; ++rank) {
    comms[rank] = new ncclComm{world, rank, world->devices[rank]};
  }
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  return comm ? ncclSuccess : ncclInvalidArgument;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (!comm) return ncclSuccess;
  {
    const std::lock_guard lock(comm->world->mutex);
    comm->world->is_aborted = true;
    comm->world->changed.notify_all();
  }
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (!comm || !error) return ncclInvalidArgument;
  const std::lock_guard lock(comm->world->mutex);
  *error = comm->world->is_aborted ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  if (!comm || !count) return ncclInvalidArgument;
  *count = comm->world->size();
  return ncclSuccess;
}

ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device) {
  if (!comm || !device) return ncclInvalidArgument;
  *device = comm->device;
  return ncclSuccess;
}

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  if (!comm || !rank) return ncclInvalidArgument;
  *rank = comm->rank;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (group.depth == 0) return ncclInvalidUsage;
  if (--group.depth > 0) return ncclSuccess;
  return MakeAll(std::exchange(group.calls, {}));
}
