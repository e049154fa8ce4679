#ifndef CUDA_EMULATION_RUNTIME_CAPTURE_H_
#define CUDA_EMULATION_RUNTIME_CAPTURE_H_

#include <cuda_runtime_api.h>

#include <memory>
#include <thread>
#include <vector>

#include "execution.h"
#include "streams.h"

namespace cuda_emulation::runtime {

/// A task of a graph, and the nodes that it depends on, which are all before it.
struct Node {
  Task task;
  std::vector<std::size_t> after;
};

/// A graph while streams are recorded into it.
struct Capture {
  CUstream_st* origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  std::vector<Node> nodes{};
  bool valid = true;
};

/// Records a task of a stream that is being captured.
cudaError_t Record(CUstream_st* stream, Task task);

/// Has a stream join a capture, behind the nodes of `frontier`.
cudaError_t Join(const Stream& stream, const std::shared_ptr<Capture>& capture,
                 const std::vector<std::size_t>& frontier);

/// Spoils the capture: `error` is returned for the call that did it.
cudaError_t Spoil(Capture* capture, cudaError_t error);

/// Ends a capture of which a stream goes away.
void Abandon(const std::shared_ptr<Capture>& capture);

/// The error, and the end of captures, if the calling thread may not wait, allocate or
/// free now.
cudaError_t RefuseInCapture();
/// The same for waiting for all of a device.
cudaError_t RefuseInCaptureOn(const Device& device);
/// The same for using the default stream, which would wait for recorded streams.
cudaError_t RefuseImplicit(const Device& device);

}  // namespace cuda_emulation::runtime

#endif  // CUDA_EMULATION_RUNTIME_CAPTURE_H_
