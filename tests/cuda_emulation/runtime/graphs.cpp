#include <algorithm>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "api.h"
#include "capture.h"
#include "streams.h"

struct CUgraph_st {
  std::vector<cuda_emulation::runtime::Node> nodes;
};

struct CUgraphExec_st {
  std::vector<cuda_emulation::runtime::Task> tasks;  // in the order in which they run
};

namespace cuda_emulation::runtime {
namespace {

/// Captures that have begun and not ended.
std::vector<std::shared_ptr<Capture>>& Captures() {
  static auto* captures = new std::vector<std::shared_ptr<Capture>>();
  return *captures;
}

/// Adds the nodes of `more` to `frontier`, each once.
void Merge(const std::vector<std::size_t>& more, std::vector<std::size_t>* frontier) {
  frontier->insert(frontier->end(), more.begin(), more.end());
  std::sort(frontier->begin(), frontier->end());
  frontier->erase(std::unique(frontier->begin(), frontier->end()), frontier->end());
}

/// Takes all streams out of the capture; what it had recorded is dropped unless it is
/// moved elsewhere.
void End(const std::shared_ptr<Capture>& capture) {
  for (int i = 0; i < kMostDevices; ++i) {
    for (const Stream& stream : DeviceOf(i).streams) {
      if (stream->capture != capture) continue;
      stream->capture.reset();
      stream->frontier.clear();
    }
  }
  std::erase(Captures(), capture);
}

/// Whether every node leads to one of `ends`.
bool AllLeadTo(const std::vector<Node>& nodes, const std::vector<std::size_t>& ends) {
  std::vector<bool> leads(nodes.size());
  for (const std::size_t end : ends) leads[end] = true;
  for (std::size_t i = nodes.size(); i-- > 0;) {
    if (!leads[i]) return false;
    for (const std::size_t before : nodes[i].after) leads[before] = true;
  }
  return true;
}

/// The nodes in an order that their dependencies allow: of those that can run, always the
/// one that was recorded last.
std::vector<std::size_t> LatestFirst(const std::vector<Node>& nodes) {
  std::vector<std::size_t> missing(nodes.size());
  std::vector<std::vector<std::size_t>> next(nodes.size());
  std::priority_queue<std::size_t> ready;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    missing[i] = nodes[i].after.size();
    for (const std::size_t before : nodes[i].after) next[before].push_back(i);
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    order.push_back(ready.top());
    ready.pop();
    for (const std::size_t after : next[order.back()]) {
      if (--missing[after] == 0) ready.push(after);
    }
  }
  return order;
}

}  // namespace

cudaError_t Spoil(Capture* capture, cudaError_t error) {
  capture->valid = false;
  return error;
}

cudaError_t Record(CUstream_st* stream, Task task) {
  Capture* capture = stream->capture.get();
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  capture->nodes.push_back({std::move(task), stream->frontier});
  stream->frontier = {capture->nodes.size() - 1};
  return cudaSuccess;
}

cudaError_t Join(const Stream& stream, const std::shared_ptr<Capture>& capture,
                 const std::vector<std::size_t>& frontier) {
  const bool ended =
      std::find(Captures().begin(), Captures().end(), capture) == Captures().end();
  if (ended) return cudaErrorCapturedEvent;
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  if (stream->legacy) return Spoil(capture.get(), cudaErrorStreamCaptureImplicit);
  if (stream->capture && stream->capture != capture) {
    Spoil(stream->capture.get(), cudaErrorStreamCaptureMerge);
    return Spoil(capture.get(), cudaErrorStreamCaptureMerge);
  }
  stream->capture = capture;
  Merge(frontier, &stream->frontier);
  return cudaSuccess;
}

void Abandon(const std::shared_ptr<Capture>& capture) {
  Spoil(capture.get(), cudaErrorStreamCaptureInvalidated);
  End(capture);
}

cudaError_t RefuseInCapture() {
  cudaError_t error = cudaSuccess;
  for (const auto& capture : Captures()) {
    const bool mine = capture->thread == std::this_thread::get_id();
    if (capture->mode == cudaStreamCaptureModeGlobal ||
        (mine && capture->mode == cudaStreamCaptureModeThreadLocal)) {
      error = Spoil(capture.get(), cudaErrorStreamCaptureUnsupported);
    }
  }
  return error;
}

cudaError_t RefuseInCaptureOn(const Device& device) {
  cudaError_t error = RefuseInCapture();
  for (const Stream& stream : device.streams) {
    if (!stream->capture) continue;
    error = Spoil(stream->capture.get(), cudaErrorStreamCaptureUnsupported);
  }
  return error;
}

cudaError_t RefuseImplicit(const Device& device) {
  cudaError_t error = cudaSuccess;
  for (const Stream& stream : device.streams) {
    if (!stream->capture || !stream->blocking()) continue;
    error = Spoil(stream->capture.get(), cudaErrorStreamCaptureImplicit);
  }
  return error;
}

}  // namespace cuda_emulation::runtime

using namespace cuda_emulation::runtime;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return CallOnDevice([&](Device& device) {
    const Stream origin = FindStream(stream, device);
    if (!origin) return cudaErrorInvalidResourceHandle;
    if (origin->legacy) return cudaErrorStreamCaptureUnsupported;
    if (origin->capture) return cudaErrorIllegalState;
    origin->capture = std::make_shared<Capture>();
    origin->capture->origin = origin.get();
    origin->capture->mode = mode;
    origin->capture->thread = std::this_thread::get_id();
    Captures().push_back(origin->capture);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* pGraph) {
  return CallOnDevice([&](Device& device) {
    *pGraph = nullptr;
    const Stream origin = FindStream(stream, device);
    if (!origin) return cudaErrorInvalidResourceHandle;
    const std::shared_ptr<Capture> capture = origin->capture;
    if (!capture) return cudaErrorIllegalState;
    if (capture->origin != origin.get()) {
      return Spoil(capture.get(), cudaErrorStreamCaptureUnmatched);
    }
    if (capture->mode != cudaStreamCaptureModeRelaxed &&
        capture->thread != std::this_thread::get_id()) {
      return cudaErrorStreamCaptureWrongThread;
    }
    const bool joined = AllLeadTo(capture->nodes, origin->frontier);
    End(capture);
    if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
    if (!joined) return cudaErrorStreamCaptureUnjoined;
    *pGraph = new CUgraph_st{std::move(capture->nodes)};
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream,
                                  cudaStreamCaptureStatus* pCaptureStatus) {
  return CallOnDevice([&](Device& device) {
    const Stream found = FindStream(stream, device);
    if (!found) return cudaErrorInvalidResourceHandle;
    if (found->legacy) {
      const cudaError_t refused = RefuseImplicit(device);
      if (refused != cudaSuccess) return refused;
    }
    *pCaptureStatus = !found->capture         ? cudaStreamCaptureStatusNone
                      : found->capture->valid ? cudaStreamCaptureStatusActive
                                              : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes,
                              std::size_t* numNodes) {
  return Call([&] {
    if (!graph || !numNodes) return cudaErrorInvalidValue;
    if (nodes) return cudaErrorNotSupported;  // nodes have no handles here
    *numNodes = graph->nodes.size();
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* pGraphExec, cudaGraph_t graph,
                                 unsigned long long /*flags*/) {
  return CallOnDevice([&](Device&) {
    if (!graph || !pGraphExec) return cudaErrorInvalidValue;
    *pGraphExec = new CUgraphExec_st();
    for (const std::size_t i : LatestFirst(graph->nodes)) {
      (*pGraphExec)->tasks.push_back(graph->nodes[i].task);
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t stream) {
  return CallOnDevice([&](Device& device) {
    const Stream place = FindStream(stream, device);
    if (!graphExec) return cudaErrorInvalidValue;
    if (!place) return cudaErrorInvalidResourceHandle;
    const std::size_t before = GivenSoFar().calls;
    for (const Task& task : graphExec->tasks) {
      const cudaError_t error = Submit(place, task);
      if (error != cudaSuccess) return error;
    }
    if (!place->capture) GivenSoFar().calls = before + 1;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return Call([&] {
    if (!graph) return cudaErrorInvalidValue;
    delete graph;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec) {
  return Call([&] {
    if (!graphExec) return cudaErrorInvalidValue;
    delete graphExec;
    return cudaSuccess;
  });
}
}
