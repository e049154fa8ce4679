// Means between GPUs, by NCCL.

#include <nccl.h>
#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/device.hpp"
#include "caffe/gpu/owned.hpp"
#include "caffe/parallel/device_mean.hpp"

#define NCCL_CHECK(condition)                                                   \
  do {                                                                          \
    const ncclResult_t nccl_result = (condition);                               \
    if (nccl_result != ncclSuccess) {                                           \
      throw ::caffe::RuntimeFailure(::caffe::Str(                               \
          "NCCL: ", #condition, " failed: ", ncclGetErrorString(nccl_result))); \
    }                                                                           \
  } while (0)

namespace caffe {
namespace {

/// A launch takes as long as sending some hundred kilobytes: small arrays wait for
/// others.
constexpr std::size_t kBucketBytes = std::size_t{4} << 20;

struct Pending {
  void* values;
  int count;
  ncclDataType_t type;
};

// What names a GPU on all machines.
struct Place {
  char host[64];
  int domain, bus, slot;
};

Place OwnPlace() {
  Place place = {};
  gethostname(place.host, sizeof(place.host) - 1);
  const int id = device::Selected();
  CUDA_CHECK(cudaDeviceGetAttribute(&place.domain, cudaDevAttrPciDomainId, id));
  CUDA_CHECK(cudaDeviceGetAttribute(&place.bus, cudaDevAttrPciBusId, id));
  CUDA_CHECK(cudaDeviceGetAttribute(&place.slot, cudaDevAttrPciDeviceId, id));
  return place;
}

bool EachHasItsOwn(ProcessGroup* group) {
  std::vector<Place> places(group->size());
  places[group->rank()] = OwnPlace();
  for (int rank = 0; rank < group->size(); ++rank) {
    group->Broadcast(&places[rank], sizeof(Place), rank);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (std::memcmp(&places[i], &places[j], sizeof(Place)) == 0) return false;
    }
  }
  return true;
}

using Communicator = Owned<ncclComm_t, ncclCommDestroy>;

// Null where NCCL cannot connect the group, which all of it learns.
Communicator Connect(ProcessGroup* group) {
  struct {
    ncclUniqueId id;
    ncclResult_t result;
  } start = {};
  if (group->rank() == 0) start.result = ncclGetUniqueId(&start.id);
  group->Broadcast(&start, sizeof(start));
  ncclResult_t result = start.result;
  ncclComm_t made = nullptr;
  if (result == ncclSuccess) {
    result = ncclCommInitRank(&made, group->size(), start.id, group->rank());
  }
  Communicator communicator(made);
  double failures = result != ncclSuccess;
  group->StartSum(&failures, 1);
  group->Wait();
  if (failures == 0) return communicator;
  // What the first has met is the same for all.
  LOG_IF(WARNING,
         result != ncclSuccess && (group->rank() == 0 || start.result == ncclSuccess))
      << "NCCL cannot connect the GPUs of this group (" << ncclGetErrorString(result)
      << "; NCCL_DEBUG=WARN says more): gradients go through host memory";
  return nullptr;
}

class NcclMean final : public DeviceMean {
 public:
  explicit NcclMean(Communicator communicator) : communicator_(std::move(communicator)) {
    CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    CUDA_CHECK(cudaEventCreateWithFlags(&written_, cudaEventDisableTiming));
    CUDA_CHECK(cudaEventCreateWithFlags(&summed_, cudaEventDisableTiming));
  }

  // Ignores their status: a destructor cannot report.
  ~NcclMean() override {
    communicator_.reset();
    if (stream_) cudaStreamDestroy(stream_);
    if (written_) cudaEventDestroy(written_);
    if (summed_) cudaEventDestroy(summed_);
  }

  void Start(float* values, int count) override { Add({values, count, ncclFloat32}); }
  void Start(double* values, int count) override { Add({values, count, ncclFloat64}); }

  void Finish() override {
    Send();
    CUDA_CHECK(cudaEventRecord(summed_, stream_));
    CUDA_CHECK(cudaStreamWaitEvent(nullptr, summed_, 0));
  }

 private:
  void Add(Pending pending) {
    pending_.push_back(pending);
    bytes_ +=
        pending.count * (pending.type == ncclFloat64 ? sizeof(double) : sizeof(float));
    if (bytes_ >= kBucketBytes) Send();
  }

  // Sends all that is pending, in one launch, behind the work that wrote it.
  void Send() {
    if (pending_.empty()) return;
    CUDA_CHECK(cudaEventRecord(written_, nullptr));
    CUDA_CHECK(cudaStreamWaitEvent(stream_, written_, 0));
    NCCL_CHECK(ncclGroupStart());
    for (const Pending& pending : pending_) {
      NCCL_CHECK(ncclAllReduce(pending.values, pending.values, pending.count,
                               pending.type, ncclAvg, communicator_.get(), stream_));
    }
    NCCL_CHECK(ncclGroupEnd());
    pending_.clear();
    bytes_ = 0;
  }

  Communicator communicator_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t written_ = nullptr, summed_ = nullptr;
  std::vector<Pending> pending_;
  std::size_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<DeviceMean> DeviceMean::Make(ProcessGroup* group) {
  if (group->size() == 1 || Caffe::mode() == Caffe::CPU) return nullptr;
  if (!EachHasItsOwn(group)) {
    LOG_IF(WARNING, group->rank() == 0)
        << "several processes train on one GPU, which NCCL does not serve: gradients go "
           "through host memory";
    return nullptr;
  }
  Communicator communicator = Connect(group);
  return communicator ? std::make_unique<NcclMean>(std::move(communicator)) : nullptr;
}

bool DeviceMean::Supported() { return true; }

}  // namespace caffe
