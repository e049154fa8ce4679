// NCCL's collectives. A rank's stream first copies what the rank sends to host memory,
// then waits for the streams of the others to have done so, and then computes what the
// rank receives.

#include <nccl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "library_call.h"
#include "nccl_world.h"
#include "number_format.h"

namespace cuda_emulation {

namespace {

enum class Kind { kAllReduce, kReduce, kReduceScatter, kBroadcast, kAllGather };

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kAllReduce:
      return "ncclAllReduce";
    case Kind::kReduce:
      return "ncclReduce";
    case Kind::kReduceScatter:
      return "ncclReduceScatter";
    case Kind::kBroadcast:
      return "ncclBroadcast";
    case Kind::kAllGather:
      break;
  }
  return "ncclAllGather";
}

/// What all ranks must agree about. `root` and `op` are 0 where there is none.
struct Operation {
  Kind kind;
  std::size_t count;
  ncclDataType_t type;
  ncclRedOp_t op;
  int root;

  bool operator==(const Operation&) const = default;
};

std::size_t SizeOf(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
      return 8;
  }
  return 0;
}

// --- Reductions: in the order of the ranks, of floating-point numbers in double

using Bytes = std::vector<char>;

template <typename T>
T Combine(ncclRedOp_t op, T a, T b) {
  switch (op) {
    case ncclProd:
      return a * b;
    case ncclMax:
      return std::max(a, b);
    case ncclMin:
      return std::min(a, b);
    case ncclSum:
    case ncclAvg:
      break;
  }
  return a + b;
}

/// `count` numbers of every rank, from number `first` on, become one. load(bytes, first)
/// gives a rank's as numbers of type Wide, in which sums of integers may wrap.
template <typename Wide, typename LoadNumbers>
std::vector<Wide> Reduce(const std::vector<Bytes>& ranks, ncclRedOp_t op,
                         LoadNumbers load) {
  std::vector<Wide> result = load(ranks.front());
  for (std::size_t rank = 1; rank < ranks.size(); ++rank) {
    const std::vector<Wide> numbers = load(ranks[rank]);
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i] = Combine(op, result[i], numbers[i]);
    }
  }
  if (op == ncclAvg) {
    for (Wide& number : result) number /= static_cast<Wide>(ranks.size());
  }
  return result;
}

Bytes ReduceFloating(NumberFormat format, const std::vector<Bytes>& ranks, ncclRedOp_t op,
                     std::size_t first, std::size_t count) {
  const auto length = static_cast<std::ptrdiff_t>(count);
  const std::vector<double> numbers = Reduce<double>(ranks, op, [&](const Bytes& bytes) {
    std::vector<double> values(count);
    Load(format, bytes.data() + first * SizeOf(format), 1, length, values.data());
    return values;
  });
  Bytes result(count * SizeOf(format));
  Store(format, numbers.data(), length, result.data(), 1);
  return result;
}

/// Wide is of 64 bits, and unsigned where that is T, too.
template <typename T, typename Wide>
Bytes ReduceIntegers(const std::vector<Bytes>& ranks, ncclRedOp_t op, std::size_t first,
                     std::size_t count) {
  const std::vector<Wide> numbers = Reduce<Wide>(ranks, op, [&](const Bytes& bytes) {
    std::vector<Wide> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      T number;
      std::memcpy(&number, bytes.data() + (first + i) * sizeof(T), sizeof(T));
      values[i] = number;
    }
    return values;
  });
  Bytes result(count * sizeof(T));
  for (std::size_t i = 0; i < count; ++i) {
    const T number = static_cast<T>(numbers[i]);
    std::memcpy(result.data() + i * sizeof(T), &number, sizeof(T));
  }
  return result;
}

Bytes ReduceAs(ncclDataType_t type, const std::vector<Bytes>& ranks, ncclRedOp_t op,
               std::size_t first, std::size_t count) {
  switch (type) {
    case ncclInt8:
      return ReduceIntegers<std::int8_t, std::int64_t>(ranks, op, first, count);
    case ncclUint8:
      return ReduceIntegers<std::uint8_t, std::uint64_t>(ranks, op, first, count);
    case ncclInt32:
      return ReduceIntegers<std::int32_t, std::int64_t>(ranks, op, first, count);
    case ncclUint32:
      return ReduceIntegers<std::uint32_t, std::uint64_t>(ranks, op, first, count);
    case ncclInt64:
      return ReduceIntegers<std::int64_t, std::int64_t>(ranks, op, first, count);
    case ncclUint64:
      return ReduceIntegers<std::uint64_t, std::uint64_t>(ranks, op, first, count);
    case ncclFloat16:
      return ReduceFloating(NumberFormat::kHalf, ranks, op, first, count);
    case ncclFloat32:
      return ReduceFloating(NumberFormat::kFloat, ranks, op, first, count);
    case ncclFloat64:
      return ReduceFloating(NumberFormat::kDouble, ranks, op, first, count);
    case ncclBfloat16:
      return ReduceFloating(NumberFormat::kBfloat16, ranks, op, first, count);
  }
  return {};
}

}  // namespace

/// One collective, while its ranks come to it.
struct Collective {
  Operation operation;
  bool ranks_disagree = false;
  /// By rank.
  std::vector<bool> has_called;
  std::vector<Bytes> sent;
  std::vector<cudaEvent_t> sent_events;
  int called = 0;
  int left = 0;

  Collective(const Operation& operation, int ranks)
      : operation(operation),
        has_called(ranks, false),
        sent(ranks),
        sent_events(ranks, nullptr) {}
  /// What `rank` receives, once all have sent; nothing if it does not.
  Bytes Received(int rank) const {
    const auto [kind, count, type, op, root] = operation;
    switch (kind) {
      case Kind::kAllReduce:
        return ReduceAs(type, sent, op, 0, count);
      case Kind::kReduce:
        return rank == root ? ReduceAs(type, sent, op, 0, count) : Bytes();
      case Kind::kReduceScatter:
        return ReduceAs(type, sent, op, rank * count, count);
      case Kind::kBroadcast:
        return sent[root];
      case Kind::kAllGather:
        break;
    }
    Bytes all;
    for (const Bytes& one : sent) all.insert(all.end(), one.begin(), one.end());
    return all;
  }
};

namespace {

/// One rank's part of a collective.
struct Call {
  ncclComm_t comm;
  Operation operation;
  const void* send;
  void* receive;
  cudaStream_t stream;

  const char* name() const { return NameOf(operation.kind); }
  std::size_t send_bytes() const {
    const std::size_t bytes = operation.count * SizeOf(operation.type);
    if (operation.kind == Kind::kReduceScatter) return bytes * comm->world->size();
    return operation.kind == Kind::kBroadcast && comm->rank != operation.root ? 0 : bytes;
  }
  std::size_t receive_bytes() const {
    const std::size_t bytes = operation.count * SizeOf(operation.type);
    if (operation.kind == Kind::kAllGather) return bytes * comm->world->size();
    return operation.kind == Kind::kReduce && comm->rank != operation.root ? 0 : bytes;
  }
};

/// This rank's next collective: the one that other ranks have come to already, or a new
/// one.
std::shared_ptr<Collective> Enter(const Call& call) {
  World& world = *call.comm->world;
  const std::lock_guard lock(world.mutex);
  std::shared_ptr<Collective>& entry = world.open[call.comm->calls++];
  if (!entry) entry = std::make_shared<Collective>(call.operation, world.size());
  if (!(entry->operation == call.operation)) entry->ranks_disagree = true;
  return entry;
}

/// This rank needs the collective no more. The last one clears up: events are not there
/// to be destroyed by work, which may be what drops the collective itself.
void Leave(World* world, Collective* collective, std::uint64_t number) {
  std::vector<cudaEvent_t> events;
  {
    const std::lock_guard lock(world->mutex);
    if (++collective->left < collective->called) return;
    events = collective->sent_events;
    world->open.erase(number);
  }
  for (const cudaEvent_t event : events) {
    if (event) cudaEventDestroy(event);
  }
}

/// The first half: has the stream copy what is sent.
ncclResult_t Begin(const Call& call, const std::shared_ptr<Collective>& collective) {
  World& world = *call.comm->world;
  const int rank = call.comm->rank;
  const std::size_t bytes = call.send_bytes();
  const CurrentDeviceScope scope(call.comm->device);
  const auto copy = [rank, bytes, collective, from = call.send] {
    const char* const begin = static_cast<const char*>(from);
    collective->sent[rank].assign(begin, begin + bytes);
  };
  cudaEvent_t event = nullptr;
  const bool is_enqueued =
      (bytes == 0 || Enqueue(call.stream, copy, call.name()) == cudaSuccess) &&
      cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess &&
      cudaEventRecord(event, call.stream) == cudaSuccess;
  const std::lock_guard lock(world.mutex);
  collective->sent_events[rank] = event;
  collective->has_called[rank] = is_enqueued;
  ++collective->called;
  if (!is_enqueued) world.is_aborted = true;
  world.changed.notify_all();
  return is_enqueued ? ncclSuccess : ncclUnhandledCudaError;
}

/// Waits until all ranks have begun, and agree.
ncclResult_t WaitForAll(const Call& call, Collective* collective, std::uint64_t number) {
  World& world = *call.comm->world;
  std::unique_lock lock(world.mutex);
  const std::string what = std::string(call.name()) + ", call " + std::to_string(number) +
                           " of its communicator: ";
  const ncclResult_t result = world.WaitUntil(
      &lock, [&] { return collective->called == world.size(); },
      [&] {
        std::string missing = what + "missing ranks";
        for (int rank = 0; rank < world.size(); ++rank) {
          if (!collective->has_called[rank]) missing += " " + std::to_string(rank);
        }
        return missing + "; a thread makes the calls of several ranks in a group";
      });
  if (result == ncclSuccess && collective->ranks_disagree) {
    std::fprintf(stderr,
                 "cuda_emulation: NCCL: rank %d: %sthe ranks disagree about function, "
                 "count, type, reduction or root\n",
                 call.comm->rank, what.c_str());
    return ncclInvalidUsage;
  }
  return result;
}

/// The second half: has the stream wait for what the others send, and take its part.
ncclResult_t Finish(const Call& call, const std::shared_ptr<Collective>& collective) {
  const int rank = call.comm->rank;
  const CurrentDeviceScope scope(call.comm->device);
  for (const cudaEvent_t event : collective->sent_events) {
    if (cudaStreamWaitEvent(call.stream, event, 0) != cudaSuccess) {
      return ncclUnhandledCudaError;
    }
  }
  if (call.receive_bytes() == 0) return ncclSuccess;
  const auto take = [rank, collective, to = call.receive] {
    const Bytes bytes = collective->Received(rank);
    std::copy(bytes.begin(), bytes.end(), static_cast<char*>(to));
  };
  return Enqueue(call.stream, take, call.name()) == cudaSuccess ? ncclSuccess
                                                                : ncclUnhandledCudaError;
}

bool IsCapturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(stream, &status) == cudaSuccess &&
         status != cudaStreamCaptureStatusNone;
}

ncclResult_t Run(const Call& call) {
  const Operation& operation = call.operation;
  if (!call.comm || SizeOf(operation.type) == 0 || operation.op < ncclSum ||
      operation.op > ncclAvg || operation.root < 0 ||
      operation.root >= call.comm->world->size()) {
    return ncclInvalidArgument;
  }
  {
    const CurrentDeviceScope scope(call.comm->device);
    if (!IsStreamOf(call.stream, call.comm->device) ||
        !IsOnDevice(call.name(), "sendbuff", call.send, call.send_bytes()) ||
        !IsOnDevice(call.name(), "recvbuff", call.receive, call.receive_bytes())) {
      return ncclInvalidArgument;
    }
    if (IsCapturing(call.stream)) {
      std::fprintf(stderr, "cuda_emulation: NCCL: %s is not recorded into graphs\n",
                   call.name());
      return ncclInvalidUsage;
    }
  }
  const std::uint64_t number = call.comm->calls;
  const std::shared_ptr<Collective> collective = Enter(call);
  return Make({[=] { return Begin(call, collective); },
               [=] {
                 ncclResult_t result = WaitForAll(call, collective.get(), number);
                 if (result == ncclSuccess) result = Finish(call, collective);
                 Leave(call.comm->world.get(), collective.get(), number);
                 return result;
               }});
}

}  // namespace
}  // namespace cuda_emulation

using cuda_emulation::Kind;
using cuda_emulation::Run;

ncclResult_t ncclAllReduce(const void* send, void* receive, std::size_t count,
                           ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream) {
  return Run({comm, {Kind::kAllReduce, count, type, op, 0}, send, receive, stream});
}

ncclResult_t ncclReduce(const void* send, void* receive, std::size_t count,
                        ncclDataType_t type, ncclRedOp_t op, int root, ncclComm_t comm,
                        cudaStream_t stream) {
  return Run({comm, {Kind::kReduce, count, type, op, root}, send, receive, stream});
}

ncclResult_t ncclReduceScatter(const void* send, void* receive, std::size_t count,
                               ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                               cudaStream_t stream) {
  return Run({comm, {Kind::kReduceScatter, count, type, op, 0}, send, receive, stream});
}

ncclResult_t ncclBroadcast(const void* send, void* receive, std::size_t count,
                           ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
  return Run(
      {comm, {Kind::kBroadcast, count, type, ncclSum, root}, send, receive, stream});
}

ncclResult_t ncclBcast(void* buffer, std::size_t count, ncclDataType_t type, int root,
                       ncclComm_t comm, cudaStream_t stream) {
  return ncclBroadcast(buffer, buffer, count, type, root, comm, stream);
}

ncclResult_t ncclAllGather(const void* send, void* receive, std::size_t count,
                           ncclDataType_t type, ncclComm_t comm, cudaStream_t stream) {
  return Run({comm, {Kind::kAllGather, count, type, ncclSum, 0}, send, receive, stream});
}
