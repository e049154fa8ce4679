// What a build without CUDA does where one with it uses a GPU: it says what it is.

#include "caffe/device.hpp"

#include "caffe/common.hpp"
#include "caffe/device_graph.hpp"
#include "caffe/device_upload.hpp"

namespace caffe {

struct Caffe::Device {};

void Caffe::SetDevice(const int) { NO_GPU; }
void Caffe::DeviceQuery() { NO_GPU; }
bool Caffe::CheckDevice(const int) { return false; }
int Caffe::FindDevice(const int) { return -1; }
void Caffe::SeedDevice() {}

namespace device {

bool Supported() { return false; }
void Require() { NO_GPU; }
int Count() { return 0; }
int Selected() { return 0; }
void Select(int) { NO_GPU; }
AllocatingFor::AllocatingFor(const void*) : before_(nullptr) {}
AllocatingFor::~AllocatingFor() = default;
void* Allocate(std::size_t) { NO_GPU; }
void Free(void*) noexcept {}
void Touch(const void*) {}
void TrimCache() {}
MemoryCounts CountMemory() { return {}; }
void ResetPeak() {}
void Copy(void*, const void*, std::size_t) { NO_GPU; }
void Fill(void*, int, std::size_t) { NO_GPU; }
int DeviceOf(const void*) { NO_GPU; }
StreamNumber OwnStream() { NO_GPU; }
void LetFollow(StreamNumber) { NO_GPU; }
Moment::~Moment() = default;
void Moment::Prepare() { NO_GPU; }
void Moment::Record() { NO_GPU; }
float Moment::MillisecondsSince(const Moment&) const { NO_GPU; }
void Synchronize() { NO_GPU; }
bool HasFailed() { return false; }

struct Upload::State {};
Upload::Upload(int) { NO_GPU; }
Upload::~Upload() = default;
void* Upload::Host(std::size_t) { NO_GPU; }
void Upload::Send(const void*, std::size_t) { NO_GPU; }
const void* Upload::Receive() { NO_GPU; }
void Upload::Release() { NO_GPU; }

struct Graph::State {};
Graph::Graph(const std::function<void()>&) { NO_GPU; }
Graph::~Graph() = default;
bool Graph::Launch() { return false; }
std::size_t Graph::size() const { return 0; }
std::uint64_t GraphContext() { return 0; }

}  // namespace device
}  // namespace caffe
