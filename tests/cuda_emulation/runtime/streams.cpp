#include "streams.h"

#include <cuda_emulation/control.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "api.h"
#include "capture.h"

namespace cuda_emulation::runtime {
namespace {

std::uint64_t latest_number = 0;

/// Streams that were created and not destroyed.
std::unordered_map<cudaStream_t, Stream>& LiveStreams() {
  static auto* streams = new std::unordered_map<cudaStream_t, Stream>();
  return *streams;
}

bool LaunchesBlock() {
  static const bool blocks = [] {
    const char* text = std::getenv("CUDA_LAUNCH_BLOCKING");
    return text && std::strcmp(text, "0") != 0 && *text;
  }();
  return blocks;
}

/// What the default stream and blocking ones wait for: each other.
std::vector<Point> ImplicitWaits(const Stream& stream, const Device& device) {
  std::vector<Point> points;
  if (stream->legacy) {
    for (const Stream& other : device.streams) {
      if (other->blocking() && !other->pending.empty()) points.push_back(EndOf(other));
    }
  } else if (stream->blocking() && !device.legacy->pending.empty()) {
    points.push_back(EndOf(device.legacy));
  }
  return points;
}

Point Append(const Stream& stream, std::vector<Point> after, Task task) {
  Device& device = DeviceOf(stream->device);
  for (Point& point : ImplicitWaits(stream, device)) after.push_back(std::move(point));
  stream->last = ++latest_number;
  stream->pending.push_back({stream->last, std::move(after), std::move(task)});
  return EndOf(stream);
}

/// For each stream, up to which number it has to run.
using Needs = std::vector<std::pair<Stream, std::uint64_t>>;

Needs FindNeeds(std::vector<Point> points) {
  Needs needs;
  while (!points.empty()) {
    const Point point = std::move(points.back());
    points.pop_back();
    if (IsDone(point)) continue;
    auto need = std::find_if(needs.begin(), needs.end(), [&](const auto& known) {
      return known.first == point.stream;
    });
    if (need == needs.end()) need = needs.insert(needs.end(), {point.stream, 0});
    if (need->second >= point.number) continue;
    const auto& pending = point.stream->pending;
    auto work = std::upper_bound(
        pending.begin(), pending.end(), need->second,
        [](std::uint64_t number, const Work& other) { return number < other.number; });
    for (; work != pending.end() && work->number <= point.number; ++work) {
      points.insert(points.end(), work->after.begin(), work->after.end());
    }
    need->second = point.number;
  }
  return needs;
}

/// Drops destroyed streams that have nothing to do any more.
void Prune(Device* device) {
  std::erase_if(device->streams, [](const Stream& stream) {
    return !stream->legacy && stream->pending.empty() &&
           !LiveStreams().count(stream.get());
  });
}

}  // namespace

Stream FindStream(cudaStream_t handle, const Device& current) {
  if (!handle || handle == cudaStreamLegacy) return current.legacy;
  const auto found = LiveStreams().find(handle);
  return found == LiveStreams().end() ? nullptr : found->second;
}

Point EndOf(const Stream& stream) { return {stream, stream->last}; }

bool IsDone(const Point& point) {
  return !point.stream || point.stream->pending.empty() ||
         point.stream->pending.front().number > point.number;
}

Given& GivenSoFar() {
  static Given given;
  return given;
}

cudaError_t Submit(const Stream& stream, Task task) {
  if (stream->capture) return Record(stream.get(), std::move(task));
  ++GivenSoFar().calls;
  const Device& device = DeviceOf(stream->device);
  if (stream->legacy) {
    const cudaError_t refused = RefuseImplicit(device);
    if (refused != cudaSuccess) return refused;
  }
  const Point end = Append(stream, {}, std::move(task));
  if (!LaunchesBlock()) return cudaSuccess;
  Finish({end});
  return device.fault;
}

void WaitFor(const Stream& stream, const Point& point) {
  if (!IsDone(point)) Append(stream, {point}, Task());
}

void Finish(std::vector<Point> points, std::size_t most) {
  const Needs needs = FindNeeds(std::move(points));
  Execution execution;
  for (; most > 0; --most) {
    // The smallest number of all depends on nothing that is not done.
    CUstream_st* next = nullptr;
    for (const auto& [stream, number] : needs) {
      if (stream->pending.empty() || stream->pending.front().number > number) continue;
      if (!next || stream->pending.front().number < next->pending.front().number) {
        next = stream.get();
      }
    }
    if (!next) return;
    const Task task = std::move(next->pending.front().task);
    next->pending.pop_front();
    execution.Run(task);
  }
}

void FinishDevice(const Device& device) {
  std::vector<Point> ends;
  for (const Stream& stream : device.streams) ends.push_back(EndOf(stream));
  Finish(std::move(ends));
  Prune(&DeviceOf(device.number));
}

void ResetStreams(Device* device) {
  for (const Stream& stream : device->streams) {
    stream->pending.clear();
    if (const auto capture = stream->capture) Abandon(capture);
    LiveStreams().erase(stream.get());
  }
  device->streams = {device->legacy};
}

}  // namespace cuda_emulation::runtime

namespace cuda_emulation {
using namespace runtime;

Given CountGiven() {
  const std::lock_guard lock(RuntimeMutex());
  return GivenSoFar();
}

cudaError_t Enqueue(cudaStream_t stream, std::function<void()> work, const char* name) {
  return CallOnDevice([&](Device& device) {
    const Stream found = FindStream(stream, device);
    if (!found || found->device != device.number) return cudaErrorInvalidResourceHandle;
    Task task;
    task.device = device.number;
    task.name = name;
    task.run = std::move(work);
    return Submit(found, std::move(task));
  });
}

}  // namespace cuda_emulation

using namespace cuda_emulation::runtime;

namespace {

template <typename Function>
cudaError_t CallOnStream(cudaStream_t handle, Function function) {
  return CallOnDevice([&](Device& device) {
    const Stream stream = FindStream(handle, device);
    return stream ? function(stream) : cudaErrorInvalidResourceHandle;
  });
}

/// Why the stream cannot be waited for; a capture ends by the attempt.
cudaError_t RefuseWait(const Stream& stream) {
  if (stream->capture) {
    return Spoil(stream->capture.get(), cudaErrorStreamCaptureUnsupported);
  }
  if (stream->legacy) {
    const cudaError_t refused = RefuseImplicit(DeviceOf(stream->device));
    if (refused != cudaSuccess) return refused;
  }
  return RefuseInCapture();
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* pStream) {
  return cudaStreamCreateWithPriority(pStream, cudaStreamDefault, 0);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* pStream, unsigned int flags) {
  return cudaStreamCreateWithPriority(pStream, flags, 0);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* pStream, unsigned int flags,
                                         int priority) {
  return CallOnDevice([&](Device& device) {
    if (!pStream || (flags & ~unsigned{cudaStreamNonBlocking}) != 0) {
      return cudaErrorInvalidValue;
    }
    int least = 0, greatest = 0;
    cudaDeviceGetStreamPriorityRange(&least, &greatest);
    const Stream stream(new CUstream_st{device.number, flags,
                                        std::clamp(priority, greatest, least), false});
    LiveStreams()[stream.get()] = stream;
    device.streams.push_back(stream);
    *pStream = stream.get();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return CallOnDevice([&](Device&) {
    const auto found = LiveStreams().find(stream);
    if (found == LiveStreams().end()) return cudaErrorInvalidResourceHandle;
    const Stream destroyed = found->second;
    if (const auto capture = destroyed->capture) Abandon(capture);
    LiveStreams().erase(found);
    Prune(&DeviceOf(destroyed->device));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetFlags(cudaStream_t hStream, unsigned int* flags) {
  return CallOnStream(hStream, [&](const Stream& stream) {
    *flags = stream->flags;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t hStream, int* priority) {
  return CallOnStream(hStream, [&](const Stream& stream) {
    *priority = stream->priority;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetDevice(cudaStream_t hStream, int* device) {
  return CallOnStream(hStream, [&](const Stream& stream) {
    *device = stream->device;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return CallOnStream(stream, [](const Stream& found) {
    CountWait();
    const cudaError_t refused = RefuseWait(found);
    if (refused != cudaSuccess) return refused;
    Finish({EndOf(found)});
    return DeviceOf(found->device).fault;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return CallOnStream(stream, [](const Stream& found) {
    const cudaError_t refused = RefuseWait(found);
    if (refused != cudaSuccess) return refused;
    const Point end = EndOf(found);
    if (IsDone(end)) return DeviceOf(found->device).fault;
    Finish({end}, 1);
    return cudaErrorNotReady;
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void* userData) {
  return CallOnStream(stream, [&](const Stream& found) {
    if (!fn) return cudaErrorInvalidValue;
    Task task;
    task.device = found->device;
    task.name = "a host function";
    task.run = [fn, userData] { fn(userData); };
    task.on_host = true;
    return Submit(found, std::move(task));
  });
}
}
