// Copies to a device on a stream of their own.

#include <map>
#include <mutex>

#include "caffe/common.hpp"
#include "caffe/device.hpp"
#include "caffe/device_upload.hpp"
#include "caffe/gpu/pinned_memory.hpp"
#include "caffe/host_memory.hpp"

namespace caffe {
namespace device {
namespace {

// One for each device and all uploads: they share one bus. It waits for nothing but what
// it is told to (non-blocking), unlike what runs on the default stream.
cudaStream_t UploadStream(int id) {
  static std::mutex mutex;
  static auto* streams = new std::map<int, cudaStream_t>();
  const std::lock_guard lock(mutex);
  cudaStream_t& stream = (*streams)[id];
  if (!stream) CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

// Threads that fill arrays have no other business with devices, so that this stays.
void WorkOn(int id) {
  if (Selected() != id) Select(id);
}

}  // namespace

struct Upload::State {
  explicit State(int id) : id(id) {}
  ~State() {
    if (sent)
      cudaEventSynchronize(sent);  // a failure has been, or will be, told elsewhere
    if (sent) cudaEventDestroy(sent);
    if (read) cudaEventDestroy(read);
    FreeHost();
    device::Free(memory);
  }
  void AllocateHost(std::size_t bytes) {
    FreeHost();
    host = AllocatePinned(bytes);
    pinned = host != nullptr;
    if (!pinned) host = AllocateHostMemory(bytes, false);
    host_bytes = bytes;
  }
  void FreeHost() {
    if (pinned) {
      FreePinned(host);
    } else {
      FreeHostMemory(host);
    }
    host = nullptr;
    pinned = false;
  }
  const int id;
  cudaStream_t stream = nullptr;
  /// Behind the copy, and behind the last work that reads what it brought.
  cudaEvent_t sent = nullptr, read = nullptr;
  void *host = nullptr, *memory = nullptr;
  bool pinned = false;  ///< host
  std::size_t host_bytes = 0, memory_bytes = 0;
};

Upload::Upload(int device) : state_(std::make_unique<State>(device)) {
  WorkOn(device);
  state_->stream = UploadStream(device);
  CUDA_CHECK(cudaEventCreateWithFlags(&state_->sent, cudaEventDisableTiming));
  CUDA_CHECK(cudaEventCreateWithFlags(&state_->read, cudaEventDisableTiming));
}

Upload::~Upload() = default;

void* Upload::Host(std::size_t bytes) {
  State& s = *state_;
  CUDA_CHECK(cudaEventSynchronize(s.sent));
  if (!s.host || s.host_bytes < bytes) s.AllocateHost(bytes);
  return s.host;
}

void Upload::Send(const void* host, std::size_t bytes) {
  State& s = *state_;
  WorkOn(s.id);
  if (!s.memory || s.memory_bytes < bytes) {
    // Those who read it run in the order in which memory is handed on.
    device::Free(s.memory);
    s.memory = nullptr;
    s.memory = Allocate(bytes);
    s.memory_bytes = bytes;
    // Whose memory it was may still be at work on it.
    CUDA_CHECK(cudaEventRecord(s.read, nullptr));
  }
  CUDA_CHECK(cudaStreamWaitEvent(s.stream, s.read, 0));
  if (bytes > 0) {
    CUDA_CHECK(cudaMemcpyAsync(s.memory, host, bytes, cudaMemcpyHostToDevice, s.stream));
  }
  CUDA_CHECK(cudaEventRecord(s.sent, s.stream));
}

const void* Upload::Receive() {
  CUDA_CHECK(cudaStreamWaitEvent(nullptr, state_->sent, 0));
  return state_->memory;
}

void Upload::Release() { CUDA_CHECK(cudaEventRecord(state_->read, nullptr)); }

}  // namespace device
}  // namespace caffe
