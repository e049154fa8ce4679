// What a build without CUDA does where one with it uses a GPU: it says what it is.

#include "caffe/device.hpp"

#include "caffe/common.hpp"

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

}  // namespace device
}  // namespace caffe
