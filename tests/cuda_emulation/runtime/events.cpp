#include <chrono>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api.h"
#include "capture.h"
#include "streams.h"

using namespace cuda_emulation::runtime;

namespace {

using Clock = std::chrono::steady_clock;

/// What an event was recorded as: a place in a stream, or one in a graph.
struct Recording {
  Point point;
  bool reached = false;
  Clock::time_point time{};
  std::shared_ptr<Capture> capture;
  std::vector<std::size_t> frontier;
};

}  // namespace

struct CUevent_st {
  int device;
  unsigned int flags;
  std::shared_ptr<Recording> recording{};  // the latest; null before the first
};

namespace {

std::unordered_map<cudaEvent_t, std::unique_ptr<CUevent_st>>& LiveEvents() {
  static auto* events =
      new std::unordered_map<cudaEvent_t, std::unique_ptr<CUevent_st>>();
  return *events;
}

CUevent_st* FindEvent(cudaEvent_t handle) {
  const auto found = LiveEvents().find(handle);
  return found == LiveEvents().end() ? nullptr : found->second.get();
}

template <typename Function>
cudaError_t CallOnEvent(cudaEvent_t handle, Function function) {
  return CallOnDevice([&](Device& device) {
    CUevent_st* event = FindEvent(handle);
    return event ? function(event, device) : cudaErrorInvalidResourceHandle;
  });
}

cudaError_t RefuseWait(const CUevent_st& event) {
  if (event.recording && event.recording->capture) {
    return Spoil(event.recording->capture.get(), cudaErrorCapturedEvent);
  }
  return RefuseInCapture();
}

}  // namespace

namespace cuda_emulation::runtime {

void ResetEvents(const Device& device) {
  std::erase_if(LiveEvents(),
                [&](const auto& entry) { return entry.second->device == device.number; });
}

}  // namespace cuda_emulation::runtime

extern "C" {

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  return CallOnDevice([&](Device& device) {
    constexpr unsigned int kKnown = cudaEventBlockingSync | cudaEventDisableTiming;
    if (!event || (flags & ~kKnown) != 0) return cudaErrorInvalidValue;
    std::unique_ptr<CUevent_st> made(new CUevent_st{device.number, flags});
    *event = made.get();
    LiveEvents()[*event] = std::move(made);
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return CallOnEvent(event, [&](CUevent_st*, Device&) {
    LiveEvents().erase(event);
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return CallOnEvent(event, [&](CUevent_st* found, Device& device) {
    const Stream place = FindStream(stream, device);
    if (!place || place->device != found->device) return cudaErrorInvalidResourceHandle;
    const auto recording = std::make_shared<Recording>();
    if (place->capture) {
      recording->capture = place->capture;
      recording->frontier = place->frontier;
      found->recording = recording;
      return cudaSuccess;
    }
    Task task;
    task.device = place->device;
    task.name = "an event";
    task.run = [recording] {
      recording->reached = true;
      recording->time = Clock::now();
    };
    const cudaError_t error = Submit(place, std::move(task));
    if (error != cudaSuccess) return error;
    recording->point = EndOf(place);
    found->recording = recording;
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return CallOnEvent(event, [](CUevent_st* found, Device&) {
    CountWait();
    const cudaError_t refused = RefuseWait(*found);
    if (refused != cudaSuccess) return refused;
    if (found->recording) Finish({found->recording->point});
    return DeviceOf(found->device).fault;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return CallOnEvent(event, [](CUevent_st* found, Device&) {
    const cudaError_t refused = RefuseWait(*found);
    if (refused != cudaSuccess) return refused;
    if (!found->recording || IsDone(found->recording->point)) {
      return DeviceOf(found->device).fault;
    }
    Finish({found->recording->point}, 1);
    return cudaErrorNotReady;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
                                unsigned int flags) {
  return CallOnEvent(event, [&](CUevent_st* found, Device& device) {
    const Stream place = FindStream(stream, device);
    if (!place) return cudaErrorInvalidResourceHandle;
    if (flags != cudaEventWaitDefault) return cudaErrorInvalidValue;
    if (!found->recording) return cudaSuccess;
    const Recording& recording = *found->recording;
    if (recording.capture) return Join(place, recording.capture, recording.frontier);
    if (place->capture) {
      return Spoil(place->capture.get(), cudaErrorStreamCaptureIsolation);
    }
    WaitFor(place, recording.point);
    return cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  return CallOnEvent(start, [&](CUevent_st* first, Device&) {
    const CUevent_st* second = FindEvent(end);
    if (!second) return cudaErrorInvalidResourceHandle;
    for (const CUevent_st* event : {static_cast<const CUevent_st*>(first), second}) {
      if (!event->recording || (event->flags & cudaEventDisableTiming) != 0) {
        return cudaErrorInvalidResourceHandle;
      }
      if (event->recording->capture) return cudaErrorCapturedEvent;
      if (!IsDone(event->recording->point)) return cudaErrorNotReady;
    }
    if (!first->recording->reached || !second->recording->reached) {
      return cudaErrorUnknown;  // a fault came before
    }
    *ms = std::chrono::duration<float, std::milli>(second->recording->time -
                                                   first->recording->time)
              .count();
    return cudaSuccess;
  });
}
}
