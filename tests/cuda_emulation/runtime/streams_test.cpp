// Streams and events: what waits for what, and that nothing else is done.

#include <string>

#include "test_support.h"

namespace cuda_emulation::test {
namespace {

using ::testing::ElementsAre;

class StreamsTest : public RuntimeTest {
 protected:
  StreamsTest() {
    EXPECT_CUDA(cudaStreamCreate(&blocking_));
    EXPECT_CUDA(cudaStreamCreateWithFlags(&free_, cudaStreamNonBlocking));
  }

  /// Has `letter` put in the log when it is its turn.
  void Write(cudaStream_t stream, char letter) {
    EXPECT_CUDA(Enqueue(stream, [this, letter] { log_.push_back(letter); }));
  }
  const std::string& log() const { return log_; }

  std::string log_;
  cudaStream_t blocking_, free_;
  const cudaStream_t legacy_ = nullptr;
};

TEST_F(StreamsTest, NothingRunsBeforeItIsWaitedFor) {
  Write(blocking_, 'a');
  Write(free_, 'b');
  Write(free_, 'c');
  EXPECT_EQ(log(), "");
  EXPECT_CUDA(cudaStreamSynchronize(free_));
  EXPECT_EQ(log(), "bc");
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_EQ(log(), "bca");
}

TEST_F(StreamsTest, TheDefaultStreamWaitsForBlockingOnesAndTheyForIt) {
  Write(blocking_, 'a');
  Write(free_, 'x');
  Write(legacy_, 'b');
  EXPECT_CUDA(cudaStreamSynchronize(legacy_));
  EXPECT_EQ(log(), "ab");
  Write(legacy_, 'c');
  Write(blocking_, 'd');
  EXPECT_CUDA(cudaStreamSynchronize(blocking_));
  EXPECT_EQ(log(), "abcd");
  Write(cudaStreamLegacy, 'e');
  EXPECT_CUDA(cudaStreamSynchronize(free_));
  EXPECT_EQ(log(), "abcdx");
}

TEST_F(StreamsTest, DevicesAreApart) {
  Write(legacy_, 'a');
  EXPECT_CUDA(cudaSetDevice(1));
  Write(legacy_, 'b');
  EXPECT_EQ(Enqueue(blocking_, [] {}), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(LaunchOn(blocking_, AddOne, 1, 1, 0, nullptr),
            cudaErrorInvalidResourceHandle);
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_EQ(log(), "b");
}

TEST_F(StreamsTest, EventsOrderStreams) {
  cudaEvent_t event;
  cudaStream_t other;
  EXPECT_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  EXPECT_CUDA(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  EXPECT_CUDA(cudaStreamWaitEvent(other, event)) << "it was never recorded";
  Write(free_, 'a');
  EXPECT_CUDA(cudaEventRecord(event, free_));
  Write(free_, 'b');
  EXPECT_CUDA(cudaStreamWaitEvent(other, event));
  Write(other, 'c');
  EXPECT_CUDA(cudaStreamSynchronize(other));
  EXPECT_EQ(log(), "ac");

  Write(free_, 'd');
  EXPECT_CUDA(cudaEventSynchronize(event));
  EXPECT_EQ(log(), "ac") << "it was recorded before";
  EXPECT_CUDA(cudaEventRecord(event, free_));
  EXPECT_CUDA(cudaEventSynchronize(event));
  EXPECT_EQ(log(), "acbd");

  Write(free_, 'e');
  EXPECT_CUDA(cudaEventRecord(event, free_));
  EXPECT_CUDA(cudaStreamWaitEvent(other, event));
  EXPECT_CUDA(cudaEventDestroy(event));
  EXPECT_CUDA(cudaStreamSynchronize(other)) << "waits without work behind it";
  EXPECT_EQ(log(), "acbde");
  EXPECT_EQ(cudaEventRecord(event, free_), cudaErrorInvalidResourceHandle);
}

TEST_F(StreamsTest, EventsOrderDevices) {
  Write(free_, 'a');
  cudaEvent_t event;
  EXPECT_CUDA(cudaEventCreate(&event));
  EXPECT_CUDA(cudaEventRecord(event, free_));
  EXPECT_CUDA(cudaSetDevice(1));
  EXPECT_CUDA(cudaStreamWaitEvent(legacy_, event));
  Write(legacy_, 'b');
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_EQ(log(), "ab");
  EXPECT_EQ(cudaEventRecord(event, legacy_), cudaErrorInvalidResourceHandle)
      << "an event of another device";
}

TEST_F(StreamsTest, AQueryDoesAPieceOfTheWork) {
  EXPECT_CUDA(cudaStreamQuery(free_));
  Write(free_, 'a');
  Write(free_, 'b');
  cudaEvent_t event;
  EXPECT_CUDA(cudaEventCreate(&event));
  EXPECT_CUDA(cudaEventQuery(event));
  EXPECT_EQ(cudaStreamQuery(free_), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  EXPECT_EQ(log(), "a");
  EXPECT_CUDA(cudaEventRecord(event, free_));
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  while (cudaEventQuery(event) != cudaSuccess) {
  }
  EXPECT_EQ(log(), "ab");
  EXPECT_CUDA(cudaStreamQuery(free_));
}

TEST_F(StreamsTest, TimeBetweenEventsIsThatOfTheWork) {
  cudaEvent_t begin, end, untimed;
  EXPECT_CUDA(cudaEventCreate(&begin));
  EXPECT_CUDA(cudaEventCreate(&end));
  EXPECT_CUDA(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
  float ms = -1;
  EXPECT_EQ(cudaEventElapsedTime(&ms, begin, end), cudaErrorInvalidResourceHandle);
  EXPECT_CUDA(cudaEventRecord(begin, free_));
  Write(free_, 'a');
  EXPECT_CUDA(cudaEventRecord(end, free_));
  EXPECT_CUDA(cudaEventRecord(untimed, free_));
  EXPECT_EQ(cudaEventElapsedTime(&ms, begin, end), cudaErrorNotReady);
  EXPECT_CUDA(cudaEventSynchronize(end));
  EXPECT_CUDA(cudaEventElapsedTime(&ms, begin, end));
  EXPECT_GT(ms, 0);
  EXPECT_EQ(cudaEventElapsedTime(&ms, begin, untimed), cudaErrorInvalidResourceHandle);
}

TEST_F(StreamsTest, ADestroyedStreamStillDoesItsWork) {
  Write(free_, 'a');
  EXPECT_CUDA(cudaStreamDestroy(free_));
  EXPECT_EQ(cudaStreamSynchronize(free_), cudaErrorInvalidResourceHandle);
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_EQ(log(), "a");
}

TEST_F(StreamsTest, StreamsKnowWhatTheyAre) {
  int least = 0, greatest = 0, priority = 0, device = -1;
  unsigned int flags = 0;
  EXPECT_CUDA(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  EXPECT_LT(greatest, least);
  EXPECT_CUDA(cudaSetDevice(1));
  cudaStream_t stream;
  EXPECT_CUDA(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest - 1));
  EXPECT_CUDA(cudaStreamGetPriority(stream, &priority));
  EXPECT_EQ(priority, greatest);
  EXPECT_CUDA(cudaStreamGetFlags(stream, &flags));
  EXPECT_EQ(flags, unsigned{cudaStreamNonBlocking});
  EXPECT_CUDA(cudaStreamGetDevice(stream, &device));
  EXPECT_EQ(device, 1);
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, 8), cudaErrorInvalidValue);
}

struct HostCall {
  std::string* log;
  cudaError_t error;
};

TEST_F(StreamsTest, HostFunctionsHaveTheirTurn) {
  HostCall call = {&log_, cudaSuccess};
  Write(free_, 'a');
  EXPECT_CUDA(cudaLaunchHostFunc(
      free_,
      [](void* data) {
        auto* host_call = static_cast<HostCall*>(data);
        host_call->log->push_back('h');
        host_call->error = cudaDeviceSynchronize();
      },
      &call));
  Write(free_, 'b');
  EXPECT_EQ(log(), "");
  EXPECT_CUDA(cudaStreamSynchronize(free_));
  EXPECT_EQ(log(), "ahb");
  EXPECT_EQ(call.error, cudaErrorNotPermitted) << "it must not use CUDA";
}

TEST_F(StreamsTest, AMissingWaitShows) {
  int *first = NewArrayOf<int>({0, 0}), *second = NewArrayOf<int>({0, 0});
  EXPECT_CUDA(cudaDeviceSynchronize());
  cudaStream_t other;
  EXPECT_CUDA(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
  EXPECT_CUDA(LaunchOn(free_, AddOne, 1, 2, 2, first));
  EXPECT_CUDA(LaunchOn(other, CopyInts, 1, 2, first, second));
  EXPECT_CUDA(cudaStreamSynchronize(other));
  EXPECT_THAT(Read(second, 2), ElementsAre(0, 0));
  EXPECT_CUDA(cudaStreamSynchronize(free_));
  EXPECT_THAT(Read(first, 2), ElementsAre(1, 1));
}

TEST_F(StreamsTest, FreeingWaitsForTheDevice) {
  int* values = NewArrayOf<int>({0});
  EXPECT_CUDA(LaunchOn(free_, AddOne, 1, 1, 1, values));
  Write(free_, 'a');
  EXPECT_CUDA(cudaFree(values));
  EXPECT_EQ(log(), "a");
}

TEST_F(StreamsTest, ALibraryThatDoesWrongIsNamed) {
  const int* values = NewArray<int>(64);
  EXPECT_CUDA(Enqueue(
      free_, [this, values] { log_.push_back(static_cast<char>(values[64])); },
      "a library's function"));
  Write(free_, 'b');
  EXPECT_EQ(cudaStreamSynchronize(free_), cudaErrorIllegalAddress);
  EXPECT_THAT(LastFault(), ::testing::HasSubstr("a library's function: reads address"));
  EXPECT_EQ(log(), "") << "nothing runs after a fault";
}

TEST_F(StreamsTest, DeviceAccessIsForWhatFollows) {
  int* values = NewArrayOf<int>({1});
  EXPECT_CUDA(Launch(AddOne, 1, 1, 1, values));
  const DeviceAccess access;
  EXPECT_EQ(*values, 2);
}

}  // namespace
}  // namespace cuda_emulation::test
