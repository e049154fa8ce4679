// Moments in this thread's work, and other people's streams.

#include <cuda_runtime.h>

#include <utility>

#include "caffe/common.hpp"
#include "caffe/device.hpp"

namespace caffe {
namespace device {
namespace {

// CUDA has these numbers for handles, too.
constexpr StreamNumber kDefault = 1;

cudaEvent_t EventOf(void* event) { return static_cast<cudaEvent_t>(event); }

}  // namespace

int DeviceOf(const void* memory) {
  cudaPointerAttributes attributes;
  CUDA_CHECK(cudaPointerGetAttributes(&attributes, memory));
  return attributes.device;
}

StreamNumber OwnStream() { return kDefault; }

void LetFollow(StreamNumber stream) {
  if (stream == kDefault) return;
  cudaEvent_t done;
  CUDA_CHECK(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
  cudaError_t error = cudaEventRecord(done, nullptr);
  if (error == cudaSuccess) {
    error = cudaStreamWaitEvent(reinterpret_cast<cudaStream_t>(stream), done, 0);
  }
  cudaEventDestroy(done);  // CUDA keeps it until it is no longer waited for
  CUDA_CHECK(error);
}

Moment::~Moment() {
  if (event_) cudaEventDestroy(EventOf(event_));
}

void Moment::Prepare() {
  if (event_ && device_ == Selected()) return;
  if (event_) cudaEventDestroy(EventOf(std::exchange(event_, nullptr)));
  cudaEvent_t event;
  CUDA_CHECK(cudaEventCreate(&event));
  event_ = event;
  device_ = Selected();
}

void Moment::Record() {
  Prepare();
  CUDA_CHECK(cudaEventRecord(EventOf(event_), nullptr));
}

float Moment::MillisecondsSince(const Moment& earlier) const {
  const cudaEvent_t begin = EventOf(earlier.event_), end = EventOf(event_);
  float milliseconds = 0;
  cudaError_t error = cudaEventElapsedTime(&milliseconds, begin, end);
  if (error == cudaErrorNotReady) {
    cudaGetLastError();  // forgets it
    CUDA_CHECK(cudaEventSynchronize(end));
    error = cudaEventElapsedTime(&milliseconds, begin, end);
  }
  CUDA_CHECK(error);
  return milliseconds;
}

}  // namespace device
}  // namespace caffe
