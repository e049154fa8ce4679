#ifndef CUDA_EMULATION_NCCL_H_
#define CUDA_EMULATION_NCCL_H_

// The part of NCCL that this project uses, with its names and signatures, between the
// emulated devices of one process; see libraries/nccl_communicators.cpp and
// libraries/nccl_collectives.cpp.
//
// Sums are taken in the order of the ranks, so results repeat. Stricter than NCCL: a
// collective call returns when all ranks have made it, or after a time an error that says
// who did not; ranks that disagree about it all get an error. Collectives are not
// recorded into graphs.

#include <cuda_runtime.h>

#include <cstddef>

#define NCCL_MAJOR 2
#define NCCL_MINOR 32
#define NCCL_PATCH 3
#define NCCL_VERSION_CODE 23203
#define NCCL_UNIQUE_ID_BYTES 128

extern "C" {

typedef struct ncclComm* ncclComm_t;
typedef struct {
  char internal[NCCL_UNIQUE_ID_BYTES];
} ncclUniqueId;

typedef enum {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7,
  ncclTimeout = 8,
  ncclNumResults = 9,
} ncclResult_t;

typedef enum {
  ncclInt8 = 0,
  ncclChar = 0,
  ncclUint8 = 1,
  ncclInt32 = 2,
  ncclInt = 2,
  ncclUint32 = 3,
  ncclInt64 = 4,
  ncclUint64 = 5,
  ncclFloat16 = 6,
  ncclHalf = 6,
  ncclFloat32 = 7,
  ncclFloat = 7,
  ncclFloat64 = 8,
  ncclDouble = 8,
  ncclBfloat16 = 9,
} ncclDataType_t;

typedef enum {
  ncclSum = 0,
  ncclProd = 1,
  ncclMax = 2,
  ncclMin = 3,
  ncclAvg = 4,
} ncclRedOp_t;

ncclResult_t ncclGetVersion(int* version);
const char* ncclGetErrorString(ncclResult_t result);

/// For all ranks of one communicator, to be given to each thread.
ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
/// A communicator of the current device; returns when all ranks have come. A device has
/// one rank.
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int nranks, ncclUniqueId id, int rank);
/// One for each device of the list, or for the first devices if it is null.
ncclResult_t ncclCommInitAll(ncclComm_t* comms, int count, const int* devices);
ncclResult_t ncclCommFinalize(ncclComm_t comm);
ncclResult_t ncclCommDestroy(ncclComm_t comm);
/// Calls of other ranks that wait for this one return with ncclRemoteError.
ncclResult_t ncclCommAbort(ncclComm_t comm);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error);
ncclResult_t ncclCommCount(const ncclComm_t comm, int* count);
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device);
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank);

/// Calls between them are made together, at the end: one thread can thus make those of
/// several ranks.
ncclResult_t ncclGroupStart();
ncclResult_t ncclGroupEnd();

/// Every rank gets the reduction of all `send`, which may be `receive`.
ncclResult_t ncclAllReduce(const void* send, void* receive, std::size_t count,
                           ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream);
/// Rank `root` gets it.
ncclResult_t ncclReduce(const void* send, void* receive, std::size_t count,
                        ncclDataType_t type, ncclRedOp_t op, int root, ncclComm_t comm,
                        cudaStream_t stream);
/// Rank r gets `count` numbers of it, from number r * count on.
ncclResult_t ncclReduceScatter(const void* send, void* receive, std::size_t count,
                               ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                               cudaStream_t stream);
/// Every rank gets what `root` sends.
ncclResult_t ncclBroadcast(const void* send, void* receive, std::size_t count,
                           ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream);
ncclResult_t ncclBcast(void* buffer, std::size_t count, ncclDataType_t type, int root,
                       ncclComm_t comm, cudaStream_t stream);
/// Every rank gets what all send, `count` numbers each, in the order of the ranks.
ncclResult_t ncclAllGather(const void* send, void* receive, std::size_t count,
                           ncclDataType_t type, ncclComm_t comm, cudaStream_t stream);
}

namespace cuda_emulation {

/// How long a call waits for the other ranks, from now on. Initially a minute.
void SetNcclTimeout(int timeout_ms);

}  // namespace cuda_emulation

#endif  // CUDA_EMULATION_NCCL_H_
