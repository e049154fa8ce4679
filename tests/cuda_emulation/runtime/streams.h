#ifndef CUDA_EMULATION_RUNTIME_STREAMS_H_
#define CUDA_EMULATION_RUNTIME_STREAMS_H_

#include <cuda_emulation/control.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <vector>

#include "device.h"
#include "execution.h"

namespace cuda_emulation::runtime {

struct Capture;

typedef std::shared_ptr<CUstream_st> Stream;

/// A place in a stream: behind the work of that number, and all before it.
struct Point {
  Stream stream;
  std::uint64_t number = 0;
};

/// A task that waits for its turn. Numbers grow over all streams, and work depends on
/// work of smaller numbers alone.
struct Work {
  std::uint64_t number;
  std::vector<Point> after;  // in other streams
  Task task;                 // without `run` for waiting alone
};

/// That of the handle, also of the default stream; null if there is none.
Stream FindStream(cudaStream_t handle, const Device& current);

/// Behind all that is in the stream.
Point EndOf(const Stream& stream);
bool IsDone(const Point& point);

/// What CountGiven() says.
Given& GivenSoFar();

/// Puts the task behind what is in the stream, or in the graph that is recorded from it.
cudaError_t Submit(const Stream& stream, Task task);

/// Makes what is put in the stream later wait for `point`; it must not be recorded.
void WaitFor(const Stream& stream, const Point& point);

/// Runs what has to be done before the points are reached, in the order of its numbers,
/// up to `most` tasks.
void Finish(std::vector<Point> points,
            std::size_t most = std::numeric_limits<std::size_t>::max());
void FinishDevice(const Device& device);

/// Forgets the device's streams and the work in them.
void ResetStreams(Device* device);
/// Forgets the device's events.
void ResetEvents(const Device& device);

}  // namespace cuda_emulation::runtime

struct CUstream_st {
  int device;
  unsigned int flags;
  int priority;
  bool legacy;
  std::uint64_t last = 0;  // number of the latest work
  std::deque<cuda_emulation::runtime::Work> pending{};
  // While it is recorded: into what, and the nodes that come before the next one.
  std::shared_ptr<cuda_emulation::runtime::Capture> capture{};
  std::vector<std::size_t> frontier{};

  bool blocking() const { return !legacy && (flags & cudaStreamNonBlocking) == 0; }
};

#endif  // CUDA_EMULATION_RUNTIME_STREAMS_H_
