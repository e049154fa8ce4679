#include <string>
#include <thread>

#include "test_support.h"

namespace cuda_emulation::test {
namespace {

class GraphsTest : public RuntimeTest {
 protected:
  GraphsTest() {
    EXPECT_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    EXPECT_CUDA(cudaStreamCreateWithFlags(&other_, cudaStreamNonBlocking));
    EXPECT_CUDA(cudaStreamCreate(&blocking_));
    EXPECT_CUDA(cudaEventCreate(&event_));
    EXPECT_CUDA(cudaEventCreate(&joined_));
  }

  void Write(cudaStream_t stream, char letter) {
    EXPECT_CUDA(Enqueue(stream, [this, letter] { log_.push_back(letter); }));
  }
  cudaStreamCaptureStatus StatusOf(cudaStream_t stream) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    EXPECT_CUDA(cudaStreamIsCapturing(stream, &status));
    return status;
  }
  void Begin(cudaStream_t stream,
             cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
    EXPECT_CUDA(cudaStreamBeginCapture(stream, mode));
    EXPECT_EQ(StatusOf(stream), cudaStreamCaptureStatusActive);
  }
  /// The error of the end; the graph is gone.
  cudaError_t End(cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream, &graph);
    if (graph) {
      EXPECT_CUDA(cudaGraphDestroy(graph));
    }
    return error;
  }
  /// Ends the capture and runs the graph `times` times.
  std::string Run(cudaStream_t stream, std::size_t nodes, int times = 1) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    EXPECT_CUDA(cudaStreamEndCapture(stream, &graph));
    EXPECT_EQ(StatusOf(stream), cudaStreamCaptureStatusNone);
    std::size_t count = 0;
    EXPECT_CUDA(cudaGraphGetNodes(graph, nullptr, &count));
    EXPECT_EQ(count, nodes);
    EXPECT_CUDA(cudaGraphInstantiate(&exec, graph));
    EXPECT_CUDA(cudaGraphDestroy(graph));
    for (int i = 0; i < times; ++i) EXPECT_CUDA(cudaGraphLaunch(exec, stream));
    EXPECT_EQ(log_, "");
    EXPECT_CUDA(cudaStreamSynchronize(stream));
    EXPECT_CUDA(cudaGraphExecDestroy(exec));
    return log_;
  }
  /// Has `to` wait for what is in `from`.
  void Fork(cudaStream_t from, cudaStream_t to, cudaEvent_t event) {
    EXPECT_CUDA(cudaEventRecord(event, from));
    EXPECT_CUDA(cudaStreamWaitEvent(to, event));
  }

  std::string log_;
  cudaStream_t stream_, other_, blocking_;
  cudaEvent_t event_, joined_;
};

TEST_F(GraphsTest, WhatIsRecordedRunsWhenTheGraphDoes) {
  Begin(stream_);
  Write(stream_, 'a');
  Write(stream_, 'b');
  EXPECT_EQ(Run(stream_, 2, 3), "ababab");
}

TEST_F(GraphsTest, AGraphIsOneCall) {
  Begin(stream_);
  const std::size_t before = CountGiven().calls;
  Write(stream_, 'a');
  Write(stream_, 'b');
  EXPECT_EQ(CountGiven().calls, before);
  Run(stream_, 2, 3);
  EXPECT_EQ(CountGiven().calls, before + 3);
  Write(stream_, 'c');
  EXPECT_EQ(CountGiven().calls, before + 4);
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
}

TEST_F(GraphsTest, KernelsAndCopiesAreRecorded) {
  int* values = NewArrayOf<int>({0});
  int* back = nullptr;
  EXPECT_CUDA(cudaMallocHost(&back, sizeof(int)));
  EXPECT_CUDA(cudaDeviceSynchronize());
  Begin(stream_);
  EXPECT_CUDA(LaunchOn(stream_, AddOne, 1, 1, 1, values));
  EXPECT_CUDA(cudaMemcpyAsync(back, values, sizeof(int), cudaMemcpyDefault, stream_));
  EXPECT_CUDA(cudaMemsetAsync(values, 0, sizeof(int), stream_));
  EXPECT_CUDA(LaunchOn(stream_, AddOne, 1, 1, 1, values));
  Run(stream_, 4, 2);
  EXPECT_EQ(*back, 2);
  EXPECT_CUDA(cudaFreeHost(back));
}

TEST_F(GraphsTest, OtherStreamsTakePart) {
  Begin(stream_);
  Write(stream_, 'a');
  Fork(stream_, other_, event_);
  EXPECT_EQ(StatusOf(other_), cudaStreamCaptureStatusActive);
  Write(other_, 'b');
  Fork(other_, stream_, joined_);
  Write(stream_, 'c');
  EXPECT_EQ(Run(stream_, 3), "abc");
  EXPECT_EQ(StatusOf(other_), cudaStreamCaptureStatusNone);
}

TEST_F(GraphsTest, AMissingDependencyShows) {
  Begin(stream_);
  Fork(stream_, other_, event_);
  Write(stream_, 'a');
  Write(other_, 'b');  // independent of a
  Fork(other_, stream_, joined_);
  Write(stream_, 'c');
  EXPECT_EQ(Run(stream_, 3), "bac");
}

TEST_F(GraphsTest, OneGraphCanBePartOfAnother) {
  Begin(stream_);
  Write(stream_, 'a');
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  EXPECT_CUDA(cudaStreamEndCapture(stream_, &graph));
  EXPECT_CUDA(cudaGraphInstantiate(&exec, graph));
  Begin(stream_);
  EXPECT_CUDA(cudaGraphLaunch(exec, stream_));
  Write(stream_, 'b');
  EXPECT_EQ(Run(stream_, 2), "ab");
  EXPECT_CUDA(cudaGraphExecDestroy(exec));
  EXPECT_CUDA(cudaGraphDestroy(graph));
}

TEST_F(GraphsTest, WaitingSpoilsACapture) {
  const auto spoils = [&](cudaError_t expected, auto call) {
    Begin(stream_);
    EXPECT_EQ(call(), expected);
    EXPECT_EQ(StatusOf(stream_), cudaStreamCaptureStatusInvalidated);
    EXPECT_EQ(Enqueue(stream_, [] {}), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(End(stream_), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(StatusOf(stream_), cudaStreamCaptureStatusNone);
  };
  int* memory = NewArray<int>(1);
  int host = 0;
  spoils(cudaErrorStreamCaptureUnsupported,
         [&] { return cudaStreamSynchronize(stream_); });
  spoils(cudaErrorStreamCaptureUnsupported, [&] { return cudaStreamQuery(stream_); });
  spoils(cudaErrorStreamCaptureUnsupported,
         [&] { return cudaStreamSynchronize(other_); });
  spoils(cudaErrorStreamCaptureUnsupported, [] { return cudaDeviceSynchronize(); });
  spoils(cudaErrorStreamCaptureUnsupported, [&] { return cudaEventSynchronize(event_); });
  spoils(cudaErrorStreamCaptureUnsupported, [] {
    int* more = nullptr;
    return cudaMalloc(&more, sizeof(int));
  });
  spoils(cudaErrorStreamCaptureUnsupported, [&] { return cudaFree(memory); });
  spoils(cudaErrorStreamCaptureUnsupported,
         [&] { return cudaMemcpy(&host, memory, 4, cudaMemcpyDefault); });
  spoils(cudaErrorCapturedEvent, [&] {
    EXPECT_CUDA(cudaEventRecord(event_, stream_));
    return cudaEventSynchronize(event_);
  });
}

TEST_F(GraphsTest, RelaxedCapturesAllowMemory) {
  int* memory = nullptr;
  Begin(stream_, cudaStreamCaptureModeRelaxed);
  EXPECT_CUDA(cudaMalloc(&memory, 4));
  EXPECT_CUDA(cudaStreamSynchronize(other_));
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(End(stream_), cudaErrorStreamCaptureInvalidated);
}

TEST_F(GraphsTest, ModesSayWhichThreadsAreConcerned) {
  const auto elsewhere = [] {
    cudaError_t error = cudaSuccess;
    std::thread([&] {
      int* memory = nullptr;
      error = cudaMalloc(&memory, 4);
    }).join();
    return error;
  };
  Begin(stream_, cudaStreamCaptureModeThreadLocal);
  EXPECT_CUDA(elsewhere());
  EXPECT_CUDA(End(stream_));
  Begin(stream_, cudaStreamCaptureModeGlobal);
  EXPECT_EQ(elsewhere(), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(End(stream_), cudaErrorStreamCaptureInvalidated);
  Begin(stream_);
  std::thread([&] {
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureWrongThread);
  }).join();
  EXPECT_CUDA(End(stream_));
}

TEST_F(GraphsTest, TheDefaultStreamCannotTakePart) {
  int* memory = NewArray<int>(1);
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
            cudaErrorStreamCaptureUnsupported);
  Begin(blocking_);
  EXPECT_EQ(Launch(AddOne, 1, 1, 1, memory), cudaErrorStreamCaptureImplicit);
  EXPECT_EQ(End(blocking_), cudaErrorStreamCaptureInvalidated);
  Begin(stream_);  // which the default stream does not wait for
  EXPECT_CUDA(Launch(AddOne, 1, 1, 1, memory));
  EXPECT_CUDA(End(stream_));
}

TEST_F(GraphsTest, CapturesAreClosed) {
  Write(other_, 'x');
  EXPECT_CUDA(cudaEventRecord(event_, other_));
  Begin(stream_);
  EXPECT_EQ(cudaStreamWaitEvent(stream_, event_), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(End(stream_), cudaErrorStreamCaptureInvalidated);

  Begin(stream_);
  Begin(other_);
  EXPECT_CUDA(cudaEventRecord(event_, stream_));
  EXPECT_EQ(cudaStreamWaitEvent(other_, event_), cudaErrorStreamCaptureMerge);
  EXPECT_EQ(End(stream_), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(End(other_), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaStreamWaitEvent(other_, event_), cudaErrorCapturedEvent);
}

TEST_F(GraphsTest, EveryStreamMustBeJoined) {
  Begin(stream_);
  Fork(stream_, other_, event_);
  Write(other_, 'a');
  EXPECT_EQ(End(stream_), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(StatusOf(other_), cudaStreamCaptureStatusNone);

  Begin(stream_);
  Fork(stream_, other_, event_);
  EXPECT_EQ(End(other_), cudaErrorStreamCaptureUnmatched);
  EXPECT_EQ(End(stream_), cudaErrorStreamCaptureInvalidated);
}

TEST_F(GraphsTest, BeginningsAndEndsMatch) {
  EXPECT_EQ(End(stream_), cudaErrorIllegalState);
  Begin(stream_);
  EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal),
            cudaErrorIllegalState);
  EXPECT_CUDA(cudaStreamDestroy(stream_));
  EXPECT_CUDA(cudaDeviceSynchronize()) << "the capture is gone with its stream";
}

}  // namespace
}  // namespace cuda_emulation::test
