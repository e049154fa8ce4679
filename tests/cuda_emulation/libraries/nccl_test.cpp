#include <cuda_runtime.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "device_array.h"
#include "tolerance.hpp"

namespace cuda_emulation {
namespace test {
namespace {

using caffe::test::ExpectClose;
using caffe::test::OpKind;
using caffe::test::ToleranceOf;

constexpr int kRanks = 3;

class NcclTest : public ::testing::Test {
 protected:
  NcclTest() {
    ResetAll();
    SetDeviceCount(kRanks);
    EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  }
  ~NcclTest() override {
    SetNcclTimeout(60'000);
    ResetAll();
  }

  /// Calls function(rank, comm, stream) for every rank, in threads that have the rank's
  /// device. Results of the function are errors of NCCL.
  template <typename Function>
  static std::vector<ncclResult_t> InThreads(Function function) {
    ncclUniqueId id;
    EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    std::vector<ncclResult_t> results(kRanks, ncclNumResults);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < kRanks; ++rank) {
      threads.emplace_back([&, rank] {
        EXPECT_EQ(cudaSetDevice(rank), cudaSuccess);
        cudaStream_t stream = nullptr;
        EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
        ncclComm_t comm = nullptr;
        EXPECT_EQ(ncclCommInitRank(&comm, kRanks, id, rank), ncclSuccess);
        results[rank] = function(rank, comm, stream);
        EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
        EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return results;
  }
  static void ExpectAll(const std::vector<ncclResult_t>& results, ncclResult_t want) {
    for (const ncclResult_t result : results) {
      EXPECT_EQ(result, want) << ncclGetErrorString(result);
    }
  }
};

std::vector<double> Sent(int rank, std::size_t count,
                         NumberFormat format = NumberFormat::kFloat) {
  return Inputs(format, 100 + rank, count);
}

TEST_F(NcclTest, CollectivesOfThreads) {
  constexpr std::size_t kCount = 5;
  const auto results = InThreads([&](int rank, ncclComm_t comm, cudaStream_t stream) {
    int ranks = 0, device = -1, user_rank = -1;
    EXPECT_EQ(ncclCommCount(comm, &ranks), ncclSuccess);
    EXPECT_EQ(ncclCommCuDevice(comm, &device), ncclSuccess);
    EXPECT_EQ(ncclCommUserRank(comm, &user_rank), ncclSuccess);
    EXPECT_EQ(ranks, kRanks);
    EXPECT_EQ(device, rank);
    EXPECT_EQ(user_rank, rank);
    const auto kFormat = NumberFormat::kFloat;
    const DeviceArray send(kFormat, Sent(rank, kRanks * kCount));
    const DeviceArray sum(kFormat, Unset{kCount}), part(kFormat, Unset{kCount}),
        root_sum(kFormat, std::vector<double>(kCount, 7)), copy(kFormat, Unset{kCount}),
        all(kFormat, Unset{kRanks * kCount});
    EXPECT_EQ(
        ncclAllReduce(send.data(), sum.data(), kCount, ncclFloat, ncclSum, comm, stream),
        ncclSuccess);
    EXPECT_EQ(ncclReduceScatter(send.data(), part.data(), kCount, ncclFloat, ncclAvg,
                                comm, stream),
              ncclSuccess);
    EXPECT_EQ(ncclReduce(send.data(), root_sum.data(), kCount, ncclFloat, ncclSum, 1,
                         comm, stream),
              ncclSuccess);
    EXPECT_EQ(ncclBroadcast(send.data(), copy.data(), kCount, ncclFloat, 2, comm, stream),
              ncclSuccess);
    EXPECT_EQ(ncclAllGather(send.data(), all.data(), kCount, ncclFloat, comm, stream),
              ncclSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);

    std::vector<double> sums(kRanks * kCount, 0.0), gathered;
    for (int other = 0; other < kRanks; ++other) {
      const std::vector<double> sent = Sent(other, kRanks * kCount);
      for (std::size_t i = 0; i < sent.size(); ++i) sums[i] += sent[i];
      gathered.insert(gathered.end(), sent.begin(), sent.begin() + kCount);
    }
    std::vector<double> average(sums.begin() + rank * kCount,
                                sums.begin() + (rank + 1) * kCount);
    for (double& value : average) value /= kRanks;
    sums.resize(kCount);
    const auto tolerance = ToleranceOf<float>(OpKind::kReduction, kRanks);
    const std::string who = " of rank " + std::to_string(rank);
    ExpectClose(sum.Read(), sums, tolerance, "AllReduce" + who);
    ExpectClose(part.Read(), average, tolerance, "ReduceScatter" + who);
    ExpectClose(root_sum.Read(), rank == 1 ? sums : std::vector<double>(kCount, 7),
                tolerance, "Reduce" + who);
    std::vector<double> roots = Sent(2, kRanks * kCount);
    roots.resize(kCount);
    EXPECT_EQ(copy.Read(), roots);
    EXPECT_EQ(all.Read(), gathered);
    ncclResult_t async = ncclNumResults;
    EXPECT_EQ(ncclCommGetAsyncError(comm, &async), ncclSuccess);
    EXPECT_EQ(async, ncclSuccess);
    EXPECT_EQ(ncclCommFinalize(comm), ncclSuccess);
    return ncclCommDestroy(comm);
  });
  ExpectAll(results, ncclSuccess);
}

/// The communicators of all devices, in one thread.
class NcclGroupTest : public NcclTest {
 protected:
  NcclGroupTest() : comms_(kRanks), streams_(kRanks) {
    EXPECT_EQ(ncclCommInitAll(comms_.data(), kRanks, nullptr), ncclSuccess);
    ForRanks([&](int rank) {
      EXPECT_EQ(cudaStreamCreateWithFlags(&streams_[rank], cudaStreamNonBlocking),
                cudaSuccess);
    });
  }
  ~NcclGroupTest() override {
    for (const ncclComm_t comm : comms_) EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
  }

  /// Calls function(rank) with the rank's device current.
  template <typename Function>
  static void ForRanks(Function function) {
    for (int rank = 0; rank < kRanks; ++rank) {
      EXPECT_EQ(cudaSetDevice(rank), cudaSuccess);
      function(rank);
    }
    EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  }

  std::vector<ncclComm_t> comms_;
  std::vector<cudaStream_t> streams_;
};

TEST_F(NcclGroupTest, ReducesEveryFloatingFormatInPlace) {
  struct Format {
    ncclDataType_t type;
    NumberFormat numbers;
  };
  for (const Format& format :
       {Format{ncclFloat, NumberFormat::kFloat},
        Format{ncclDouble, NumberFormat::kDouble}, Format{ncclHalf, NumberFormat::kHalf},
        Format{ncclBfloat16, NumberFormat::kBfloat16}}) {
    for (const ncclRedOp_t op : {ncclSum, ncclProd, ncclMax, ncclMin, ncclAvg}) {
      constexpr std::size_t kCount = 9;
      std::vector<std::unique_ptr<DeviceArray>> arrays(kRanks);
      std::vector<double> want(kCount);
      for (std::size_t i = 0; i < kCount; ++i) {
        const double a = Sent(0, kCount, format.numbers)[i];
        const double b = Sent(1, kCount, format.numbers)[i];
        const double c = Sent(2, kCount, format.numbers)[i];
        want[i] = op == ncclSum    ? a + b + c
                  : op == ncclProd ? a * b * c
                  : op == ncclMax  ? std::max({a, b, c})
                  : op == ncclMin  ? std::min({a, b, c})
                                   : (a + b + c) / 3;
      }
      ForRanks([&](int rank) {
        arrays[rank] = std::make_unique<DeviceArray>(format.numbers,
                                                     Sent(rank, kCount, format.numbers));
      });
      ASSERT_EQ(ncclGroupStart(), ncclSuccess);
      for (int rank = 0; rank < kRanks; ++rank) {
        EXPECT_EQ(ncclAllReduce(arrays[rank]->data(), arrays[rank]->data(), kCount,
                                format.type, op, comms_[rank], streams_[rank]),
                  ncclSuccess);
      }
      ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
      ForRanks([&](int rank) {
        EXPECT_EQ(cudaStreamSynchronize(streams_[rank]), cudaSuccess);
        const auto tolerance = format.numbers == NumberFormat::kDouble
                                   ? ToleranceOf<double>(OpKind::kElementwise)
                                   : ToleranceOf<float>(OpKind::kElementwise);
        ExpectClose(arrays[rank]->Read(), Rounded(format.numbers, want), tolerance,
                    "reduction " + std::to_string(op));
        arrays[rank].reset();
      });
    }
  }
}

template <typename T>
class NcclIntegerTest : public NcclGroupTest {};
using Integers = ::testing::Types<std::int8_t, std::uint8_t, std::int32_t, std::uint32_t,
                                  std::int64_t, std::uint64_t>;
TYPED_TEST_SUITE(NcclIntegerTest, Integers);

TYPED_TEST(NcclIntegerTest, ReducesWithoutRounding) {
  using T = TypeParam;
  const ncclDataType_t type =
      sizeof(T) == 1   ? (std::is_signed_v<T> ? ncclInt8 : ncclUint8)
      : sizeof(T) == 4 ? (std::is_signed_v<T> ? ncclInt32 : ncclUint32)
                       : (std::is_signed_v<T> ? ncclInt64 : ncclUint64);
  // Numbers as large have no exact double where T has 64 bits.
  const T large = std::numeric_limits<T>::max() / 3;
  std::vector<T*> arrays(kRanks);
  this->ForRanks([&](int rank) {
    ASSERT_EQ(cudaMalloc(&arrays[rank], sizeof(T)), cudaSuccess);
    const T value = large - rank;
    ASSERT_EQ(cudaMemcpy(arrays[rank], &value, sizeof value, cudaMemcpyDefault),
              cudaSuccess);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  const auto reduce = [&](ncclRedOp_t op) {
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    for (int rank = 0; rank < kRanks; ++rank) {
      EXPECT_EQ(ncclAllReduce(arrays[rank], arrays[rank], 1, type, op, this->comms_[rank],
                              this->streams_[rank]),
                ncclSuccess);
    }
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    T value = 0;
    this->ForRanks([&](int rank) {
      EXPECT_EQ(cudaStreamSynchronize(this->streams_[rank]), cudaSuccess);
      EXPECT_EQ(cudaMemcpy(&value, arrays[rank], sizeof value, cudaMemcpyDefault),
                cudaSuccess);
    });
    return value;
  };
  EXPECT_EQ(reduce(ncclSum), static_cast<T>(large + (large - 1) + (large - 2)));
  EXPECT_EQ(reduce(ncclMax), static_cast<T>(large + (large - 1) + (large - 2)));
}

TEST_F(NcclGroupTest, WaitsForWhatTheStreamsHaveToDoBefore) {
  std::vector<std::unique_ptr<DeviceArray>> arrays(kRanks);
  ForRanks([&](int rank) {
    arrays[rank] = std::make_unique<DeviceArray>(NumberFormat::kFloat, Unset{2});
    float* const data = arrays[rank]->as<float>();
    EXPECT_EQ(Enqueue(streams_[rank],
                      [data, rank] {
                        data[0] = static_cast<float>(rank + 1);
                        data[1] = 10;
                      }),
              cudaSuccess);
  });
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  for (int rank = 0; rank < kRanks; ++rank) {
    EXPECT_EQ(ncclAllReduce(arrays[rank]->data(), arrays[rank]->data(), 2, ncclFloat,
                            ncclSum, comms_[rank], streams_[rank]),
              ncclSuccess);
  }
  ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
  EXPECT_TRUE(std::isnan(arrays[0]->Read()[0])) << "the streams have not run";
  // One stream takes the others with it as far as it needs them.
  EXPECT_EQ(cudaStreamSynchronize(streams_[0]), cudaSuccess);
  EXPECT_EQ(arrays[0]->Read(), (std::vector<double>{6, 30}));
  EXPECT_EQ(arrays[1]->Read(), (std::vector<double>{2, 10})) << "has sent, not received";
  ForRanks([&](int rank) {
    EXPECT_EQ(cudaStreamSynchronize(streams_[rank]), cudaSuccess);
    EXPECT_EQ(arrays[rank]->Read(), (std::vector<double>{6, 30}));
    arrays[rank].reset();
  });
}

TEST_F(NcclTest, GroupsFindEachOtherByAnId) {
  ncclUniqueId id;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  std::vector<ncclComm_t> comms(kRanks);
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  for (int rank = 0; rank < kRanks; ++rank) {
    EXPECT_EQ(cudaSetDevice(rank), cudaSuccess);
    EXPECT_EQ(ncclCommInitRank(&comms[rank], kRanks, id, rank), ncclSuccess);
  }
  ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
  for (int rank = 0; rank < kRanks; ++rank) {
    int device = -1;
    EXPECT_EQ(ncclCommCuDevice(comms[rank], &device), ncclSuccess);
    EXPECT_EQ(device, rank);
    EXPECT_EQ(ncclCommDestroy(comms[rank]), ncclSuccess);
  }
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage) << "there is no group";
}

TEST_F(NcclTest, ADeviceHasOneRank) {
  ncclComm_t comms[2];
  const int devices[] = {1, 1};
  EXPECT_EQ(ncclCommInitAll(comms, 2, devices), ncclInvalidUsage);
  ncclUniqueId id;
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  EXPECT_EQ(ncclCommInitRank(&comms[0], 2, id, 0), ncclSuccess);
  EXPECT_EQ(ncclCommInitRank(&comms[1], 2, id, 1), ncclSuccess);
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);
  EXPECT_EQ(ncclCommInitRank(&comms[0], 2, id, 2), ncclInvalidArgument);
  EXPECT_EQ(ncclCommInitAll(comms, kRanks + 1, nullptr), ncclInvalidArgument);
}

TEST_F(NcclTest, ARankThatStaysAwayIsMissed) {
  const auto results = InThreads([](int rank, ncclComm_t comm, cudaStream_t stream) {
    SetNcclTimeout(200);  // all have come by now
    const DeviceArray array(NumberFormat::kFloat, {1});
    const ncclResult_t result = rank == 2
                                    ? ncclTimeout
                                    : ncclAllReduce(array.data(), array.data(), 1,
                                                    ncclFloat, ncclSum, comm, stream);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
    // One of the two notices, which ends the other's wait.
    return result == ncclRemoteError ? ncclTimeout : result;
  });
  ExpectAll(results, ncclTimeout);
}

TEST_F(NcclTest, AnAbortEndsTheOthersWaits) {
  const auto results = InThreads([](int rank, ncclComm_t comm, cudaStream_t stream) {
    if (rank == 0) {
      EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
      return ncclRemoteError;
    }
    const DeviceArray array(NumberFormat::kFloat, {1});
    const ncclResult_t result =
        ncclAllReduce(array.data(), array.data(), 1, ncclFloat, ncclSum, comm, stream);
    ncclResult_t async = ncclNumResults;
    EXPECT_EQ(ncclCommGetAsyncError(comm, &async), ncclSuccess);
    EXPECT_EQ(async, ncclRemoteError);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
    return result;
  });
  ExpectAll(results, ncclRemoteError);
}

TEST_F(NcclTest, RanksThatDisagreeAreTold) {
  const auto results = InThreads([](int rank, ncclComm_t comm, cudaStream_t stream) {
    const DeviceArray array(NumberFormat::kFloat, {1, 2});
    const std::size_t count = rank == 1 ? 2 : 1;
    const ncclResult_t result = ncclAllReduce(array.data(), array.data(), count,
                                              ncclFloat, ncclSum, comm, stream);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
    return result;
  });
  ExpectAll(results, ncclInvalidUsage);
}

TEST_F(NcclGroupTest, RefusesMemoryAndStreamsThatAreNotTheRanks) {
  const DeviceArray array(NumberFormat::kFloat, {1});
  float host = 0;
  const auto reduce = [&](const void* send, std::size_t count, int type, int op,
                          cudaStream_t stream) {
    return ncclAllReduce(send, array.data(), count, static_cast<ncclDataType_t>(type),
                         static_cast<ncclRedOp_t>(op), comms_[0], stream);
  };
  EXPECT_EQ(reduce(&host, 1, ncclFloat, ncclSum, streams_[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(array.data(), 100, ncclFloat, ncclSum, streams_[0]),
            ncclInvalidArgument);
  EXPECT_EQ(reduce(array.data(), 1, 77, ncclSum, streams_[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(array.data(), 1, ncclFloat, 5, streams_[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(array.data(), 1, ncclFloat, ncclSum, streams_[1]),
            ncclInvalidArgument);
  EXPECT_EQ(ncclAllReduce(array.data(), array.data(), 1, ncclFloat, ncclSum, nullptr,
                          streams_[0]),
            ncclInvalidArgument);
}

}  // namespace
}  // namespace test
}  // namespace cuda_emulation
