// Copies between, and within, the memory of devices and the host.

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "api.h"
#include "capture.h"
#include "execution.h"
#include "host_memory.h"
#include "streams.h"

using namespace cuda_emulation::runtime;

namespace {

enum class Side { kDevice, kPinned, kPageable, kInvalid };

Side SideOf(const void* pointer, std::size_t bytes) {
  if (DeviceAt(reinterpret_cast<std::uintptr_t>(pointer))) {
    return AllocationOf(pointer, bytes) ? Side::kDevice : Side::kInvalid;
  }
  if (!pointer) return Side::kInvalid;
  return IsPinned(pointer, bytes) ? Side::kPinned : Side::kPageable;
}

/// `height` rows of `width` bytes.
struct Rows {
  char* dst;
  std::size_t dst_pitch;
  const char* src;
  std::size_t src_pitch;
  std::size_t width, height;

  std::size_t dst_bytes() const { return (height - 1) * dst_pitch + width; }
  std::size_t src_bytes() const { return (height - 1) * src_pitch + width; }
};

void CopyNow(const Rows& rows) {
  const OpenRange open_dst(rows.dst, rows.dst_bytes());
  const OpenRange open_src(rows.src, rows.src_bytes());
  for (std::size_t i = 0; i < rows.height; ++i) {
    std::memmove(rows.dst + i * rows.dst_pitch, rows.src + i * rows.src_pitch,
                 rows.width);
  }
}

/// The same copy from what the source holds now.
std::function<void()> Staged(Rows rows) {
  const auto bytes = std::make_shared<std::vector<char>>(rows.width * rows.height);
  Rows staging = rows;
  staging.dst = bytes->data();
  staging.dst_pitch = rows.width;
  CopyNow(staging);
  rows.src_pitch = rows.width;
  return [rows, bytes]() mutable {
    rows.src = bytes->data();
    CopyNow(rows);
  };
}

bool KindFits(cudaMemcpyKind kind, Side dst, Side src) {
  const bool to_device =
      kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device =
      kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  // A device can reach memory of the host that is page-locked.
  return kind == cudaMemcpyDefault ||
         (dst != (to_device ? Side::kPageable : Side::kDevice) &&
          src != (from_device ? Side::kPageable : Side::kDevice));
}

cudaError_t RefuseCopy(const Rows& rows, cudaMemcpyKind kind) {
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) {
    return cudaErrorInvalidMemcpyDirection;
  }
  if (rows.width > rows.dst_pitch || rows.width > rows.src_pitch) {
    return cudaErrorInvalidPitchValue;
  }
  const Side dst = SideOf(rows.dst, rows.dst_bytes());
  const Side src = SideOf(rows.src, rows.src_bytes());
  return dst == Side::kInvalid || src == Side::kInvalid || !KindFits(kind, dst, src)
             ? cudaErrorInvalidValue
             : cudaSuccess;
}

cudaError_t SubmitAndMaybeWait(const Stream& stream, const char* name,
                               std::function<void()> run, bool wait) {
  Task task;
  task.device = stream->device;
  task.name = name;
  task.run = std::move(run);
  const bool recorded = stream->capture != nullptr;
  const cudaError_t error = Submit(stream, std::move(task));
  if (error != cudaSuccess || recorded || !wait) return error;
  Finish({EndOf(stream)});
  return DeviceOf(stream->device).fault;
}

/// A call without a stream waits for some of the default stream, which a capture forbids.
cudaError_t RefuseSynchronous(const Device& device) {
  const cudaError_t refused = RefuseImplicit(device);
  return refused != cudaSuccess ? refused : RefuseInCapture();
}

cudaError_t Copy(const Rows& rows, cudaMemcpyKind kind, const Stream& stream,
                 bool asynchronous) {
  if (!stream) return cudaErrorInvalidResourceHandle;
  if (rows.width == 0 || rows.height == 0) return cudaSuccess;
  const cudaError_t refused = RefuseCopy(rows, kind);
  if (refused != cudaSuccess) return refused;
  const Side dst = SideOf(rows.dst, rows.dst_bytes());
  const Side src = SideOf(rows.src, rows.src_bytes());
  const bool to_device = dst == Side::kDevice;
  const bool staged = to_device && src == Side::kPageable && !stream->capture;
  const bool wait = asynchronous
                        ? dst == Side::kPageable || (src == Side::kPageable && !to_device)
                        : !to_device || src == Side::kPinned;
  const bool sends = to_device && src != Side::kDevice && !stream->capture;
  if (sends) GivenSoFar().bytes_sent += rows.width * rows.height;
  return SubmitAndMaybeWait(
      stream, asynchronous ? "cudaMemcpyAsync" : "cudaMemcpy",
      staged ? Staged(rows) : [rows] { CopyNow(rows); }, wait);
}

cudaError_t CopySynchronously(const Rows& rows, cudaMemcpyKind kind) {
  return CallOnDevice([&](Device& device) {
    const cudaError_t refused = RefuseSynchronous(device);
    return refused != cudaSuccess ? refused : Copy(rows, kind, device.legacy, false);
  });
}

cudaError_t CopyOnStream(const Rows& rows, cudaMemcpyKind kind, cudaStream_t stream) {
  return CallOnDevice(
      [&](Device& device) { return Copy(rows, kind, FindStream(stream, device), true); });
}

Rows OneRow(void* dst, const void* src, std::size_t count) {
  return {static_cast<char*>(dst), count, static_cast<const char*>(src), count, count, 1};
}

bool IsOn(int device, const void* pointer, std::size_t bytes) {
  const Allocation* allocation = AllocationOf(pointer, bytes);
  return allocation && allocation->device == device;
}

cudaError_t RefusePeerCopy(const Rows& rows, int dst_device, int src_device) {
  if (!IsDevice(dst_device) || !IsDevice(src_device)) return cudaErrorInvalidDevice;
  return IsOn(dst_device, rows.dst, rows.dst_bytes()) &&
                 IsOn(src_device, rows.src, rows.src_bytes())
             ? cudaSuccess
             : cudaErrorInvalidValue;
}

cudaError_t Set(void* pointer, int value, std::size_t count, const Stream& stream,
                const char* name, bool wait) {
  if (!stream) return cudaErrorInvalidResourceHandle;
  if (count == 0) return cudaSuccess;
  const Side side = SideOf(pointer, count);
  if (side != Side::kDevice && side != Side::kPinned) return cudaErrorInvalidValue;
  const auto run = [=] {
    const OpenRange open(pointer, count);
    std::memset(pointer, value, count);
  };
  return SubmitAndMaybeWait(stream, name, run, wait && side == Side::kPinned);
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpy(void* dst, const void* src, std::size_t count,
                       cudaMemcpyKind kind) {
  return CopySynchronously(OneRow(dst, src, count), kind);
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, std::size_t count,
                            cudaMemcpyKind kind, cudaStream_t stream) {
  return CopyOnStream(OneRow(dst, src, count), kind, stream);
}

cudaError_t cudaMemcpy2D(void* dst, std::size_t dpitch, const void* src,
                         std::size_t spitch, std::size_t width, std::size_t height,
                         cudaMemcpyKind kind) {
  return CopySynchronously({static_cast<char*>(dst), dpitch,
                            static_cast<const char*>(src), spitch, width, height},
                           kind);
}

cudaError_t cudaMemcpy2DAsync(void* dst, std::size_t dpitch, const void* src,
                              std::size_t spitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  return CopyOnStream({static_cast<char*>(dst), dpitch, static_cast<const char*>(src),
                       spitch, width, height},
                      kind, stream);
}

cudaError_t cudaMemcpyPeer(void* dst, int dstDevice, const void* src, int srcDevice,
                           std::size_t count) {
  return CallOnDevice([&](Device& device) {
    if (count == 0) return cudaSuccess;
    const Rows rows = OneRow(dst, src, count);
    cudaError_t refused = RefuseSynchronous(device);
    if (refused == cudaSuccess) refused = RefusePeerCopy(rows, dstDevice, srcDevice);
    if (refused != cudaSuccess) return refused;
    // In turn with all of both devices.
    FinishDevice(DeviceOf(srcDevice));
    FinishDevice(DeviceOf(dstDevice));
    return SubmitAndMaybeWait(
        device.legacy, "cudaMemcpyPeer", [rows] { CopyNow(rows); }, true);
  });
}

cudaError_t cudaMemcpyPeerAsync(void* dst, int dstDevice, const void* src, int srcDevice,
                                std::size_t count, cudaStream_t stream) {
  return CallOnDevice([&](Device& device) {
    if (count == 0) return cudaSuccess;
    const Rows rows = OneRow(dst, src, count);
    const cudaError_t refused = RefusePeerCopy(rows, dstDevice, srcDevice);
    if (refused != cudaSuccess) return refused;
    const Stream place = FindStream(stream, device);
    if (!place) return cudaErrorInvalidResourceHandle;
    return SubmitAndMaybeWait(
        place, "cudaMemcpyPeerAsync", [rows] { CopyNow(rows); }, false);
  });
}

cudaError_t cudaMemset(void* devPtr, int value, std::size_t count) {
  return CallOnDevice([&](Device& device) {
    const cudaError_t refused = RefuseSynchronous(device);
    return refused != cudaSuccess
               ? refused
               : Set(devPtr, value, count, device.legacy, "cudaMemset", true);
  });
}

cudaError_t cudaMemsetAsync(void* devPtr, int value, std::size_t count,
                            cudaStream_t stream) {
  return CallOnDevice([&](Device& device) {
    return Set(devPtr, value, count, FindStream(stream, device), "cudaMemsetAsync",
               false);
  });
}
}
