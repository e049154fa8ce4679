#include "caffe/syncedmem.hpp"

#include <cstring>
#include <utility>

#include "caffe/device.hpp"
#include "caffe/host_memory.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {

SyncedMemory::SyncedMemory() : SyncedMemory(0) {}

SyncedMemory::SyncedMemory(std::size_t size)
    : cpu_ptr_(nullptr),
      gpu_ptr_(nullptr),
      size_(size),
      head_(UNINITIALIZED),
      own_cpu_data_(false),
      own_gpu_data_(false),
      pins_(0),
      packed_valid_(false) {}

SyncedMemory::~SyncedMemory() {
  if (cpu_ptr_ && own_cpu_data_) FreeHostMemory(cpu_ptr_);
  for (void* pointer : retired_) FreeHostMemory(pointer);
  for (void* pointer : retired_on_device_) device::Free(pointer);
  FreeDevice();
}

void SyncedMemory::AllocateHost(bool zero) {
  if (cpu_ptr_) return;
  cpu_ptr_ = AllocateHostMemory(size_, zero);
  own_cpu_data_ = true;
}

void SyncedMemory::AllocateDevice() {
  if (gpu_ptr_) return;
  const device::AllocatingFor owner(this);
  gpu_ptr_ = device::Allocate(size_);
  own_gpu_data_ = true;
}

void SyncedMemory::FreeDevice() {
  if (gpu_ptr_ && own_gpu_data_) device::Free(gpu_ptr_);
  gpu_ptr_ = nullptr;
  own_gpu_data_ = false;
}

// Every way to new values passes here.
void SyncedMemory::Written() {
  ++version_;
  discarded_.clear();
}

void SyncedMemory::to_cpu() {
  switch (head_) {
    case UNINITIALIZED:
      AllocateHost(true);
      head_ = HEAD_AT_CPU;
      break;
    case HEAD_PACKED:
      AllocateHost(false);
      packed_->UnpackTo(cpu_ptr_);
      head_ = HEAD_AT_CPU;
      break;
    case HEAD_AT_GPU:
      AllocateHost(false);
      device::Copy(cpu_ptr_, gpu_ptr_, size_);
      // Who writes on the device does not tell.
      if (!written_on_device()) head_ = SYNCED;
      break;
    case HEAD_AT_CPU:
    case SYNCED:
      break;
  }
}

void SyncedMemory::to_gpu() {
  if (head_ == HEAD_PACKED) {
    AllocateDevice();
    if (packed_->UnpackOnDevice(gpu_ptr_)) {
      head_ = HEAD_AT_GPU;
    } else {
      to_cpu();
    }
  }
  switch (head_) {
    case UNINITIALIZED:
      AllocateDevice();
      device::Fill(gpu_ptr_, 0, size_);
      head_ = HEAD_AT_GPU;
      break;
    case HEAD_AT_CPU:
      AllocateDevice();
      device::Copy(gpu_ptr_, cpu_ptr_, size_);
      head_ = SYNCED;
      break;
    case HEAD_AT_GPU:
    case SYNCED:
    case HEAD_PACKED:
      break;
  }
}

void SyncedMemory::CheckKept() const {
  if (!discarded_.empty()) throw RuntimeFailure(discarded_);
}

const void* SyncedMemory::cpu_data() {
  CheckKept();
  to_cpu();
  return cpu_ptr_;
}

void* SyncedMemory::mutable_cpu_data() {
  to_cpu();
  Written();
  packed_valid_ = false;
  head_ = HEAD_AT_CPU;
  return cpu_ptr_;
}

void* SyncedMemory::overwrite_cpu_data() {
  AllocateHost(false);
  Written();
  packed_valid_ = false;
  head_ = HEAD_AT_CPU;
  return cpu_ptr_;
}

void SyncedMemory::set_cpu_data(void* data) {
  CHECK(data) << "set_cpu_data() got a null pointer";
  if (cpu_ptr_ && own_cpu_data_) {
    if (pins_ > 0) {
      retired_.push_back(cpu_ptr_);
    } else {
      FreeHostMemory(cpu_ptr_);
    }
  }
  cpu_ptr_ = data;
  own_cpu_data_ = false;
  Written();
  packed_valid_ = false;
  head_ = HEAD_AT_CPU;
}

const void* SyncedMemory::gpu_data() {
  CheckKept();
  to_gpu();
  device::Touch(gpu_ptr_);
  return gpu_ptr_;
}

void* SyncedMemory::mutable_gpu_data() {
  to_gpu();
  device::Touch(gpu_ptr_);
  Written();
  packed_valid_ = false;
  head_ = HEAD_AT_GPU;
  return gpu_ptr_;
}

void* SyncedMemory::overwrite_gpu_data() {
  AllocateDevice();
  device::Touch(gpu_ptr_);
  Written();
  packed_valid_ = false;
  head_ = HEAD_AT_GPU;
  return gpu_ptr_;
}

void SyncedMemory::overwrite_both(void** cpu_data, void** gpu_data) {
  *cpu_data = overwrite_cpu_data();
  *gpu_data = overwrite_gpu_data();
  head_ = SYNCED;
}

void SyncedMemory::set_gpu_data(void* data) {
  CHECK(data) << "set_gpu_data() got a null pointer";
  device::Require();
  if (gpu_ptr_ && own_gpu_data_ && pinned_on_device()) {
    retired_on_device_.push_back(std::exchange(gpu_ptr_, nullptr));
  }
  FreeDevice();
  gpu_ptr_ = data;
  Written();
  packed_valid_ = false;
  head_ = HEAD_AT_GPU;
}

std::shared_ptr<PackedTensor> SyncedMemory::packed() const {
  return packed_valid_ ? packed_ : nullptr;
}

void SyncedMemory::set_packed(std::shared_ptr<PackedTensor> tensor) {
  packed_ = std::move(tensor);
  packed_valid_ = true;
  Written();
  head_ = HEAD_PACKED;
}

void SyncedMemory::cache_packed(std::shared_ptr<PackedTensor> tensor) {
  CHECK(head_ != UNINITIALIZED && head_ != HEAD_PACKED)
      << "a packed copy can only be cached beside a valid plain copy";
  packed_ = std::move(tensor);
  packed_valid_ = true;
}

void SyncedMemory::Pin() { ++pins_; }

void SyncedMemory::Unpin() {
  CHECK_GT(pins_, 0);
  --pins_;
}

void SyncedMemory::LeaveBuffer() {
  if (!cpu_ptr_ || !own_cpu_data_) return;
  void* left = std::exchange(cpu_ptr_, nullptr);
  retired_.push_back(left);
  AllocateHost(false);
  if (head_ == HEAD_AT_CPU || head_ == SYNCED) std::memcpy(cpu_ptr_, left, size_);
}

void SyncedMemory::PinOnDevice(bool writes) {
  ++device_pins_;
  device_writers_ += writes;
}

void SyncedMemory::UnpinOnDevice(bool writes) {
  CHECK_GT(device_pins_, 0);
  --device_pins_;
  device_writers_ -= writes;
}

void SyncedMemory::Settle() {
  if (pinned_on_device()) to_gpu();
  if (pinned()) {
    if (head_ == HEAD_PACKED || head_ == HEAD_AT_GPU) to_cpu();
    if (head_ == SYNCED || head_ == HEAD_AT_GPU) head_ = HEAD_AT_CPU;
  } else if (written_on_device()) {
    head_ = HEAD_AT_GPU;
  } else {
    return;
  }
  packed_valid_ = false;
  ++version_;  // outsiders may have written, or will
}

void SyncedMemory::Discard(const std::string& why) {
  if (pinned() || pinned_on_device() || (gpu_ptr_ && !own_gpu_data_)) return;
  if (device_holds_ == 0) {
    FreeDevice();
    packed_.reset();
  }
  if (cpu_ptr_) FreeHostMemory(cpu_ptr_);
  cpu_ptr_ = nullptr;
  own_cpu_data_ = false;
  packed_valid_ = false;
  head_ = UNINITIALIZED;
  Written();
  discarded_ = why;
}

void SyncedMemory::ReleaseDevice() {
  CHECK_GT(device_holds_, 0);
  if (--device_holds_ > 0 || !discarded()) return;
  if (own_gpu_data_) FreeDevice();
  packed_.reset();
}

void SyncedMemory::DeviceWrote(const DeviceCopies& copies) {
  CHECK(copies.head == HEAD_PACKED || gpu_ptr_ == copies.plain)
      << "the device's buffer was held and has moved";
  packed_ = copies.packed;
  packed_valid_ = packed_ != nullptr;
  Written();
  head_ = copies.head;
}

void SyncedMemory::KeepPackedOnly() {
  if (!packed_valid_ || pinned() || head_ != HEAD_AT_CPU || !own_cpu_data_) return;
  FreeHostMemory(cpu_ptr_);
  cpu_ptr_ = nullptr;
  own_cpu_data_ = false;
  head_ = HEAD_PACKED;
}

void SyncedMemory::KeepPlainOnly() {
  if (head_ == HEAD_PACKED || head_ == UNINITIALIZED) return;
  packed_.reset();
  packed_valid_ = false;
}

std::size_t SyncedMemory::allocated_bytes() const {
  std::size_t total = 0;
  if (cpu_ptr_ && own_cpu_data_) total += size_;
  if (gpu_ptr_ && own_gpu_data_) total += size_;
  if (packed_) total += packed_->bytes();
  return total;
}

}  // namespace caffe
