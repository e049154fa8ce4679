#include "caffe/syncedmem.hpp"

#include <cstdlib>
#include <cstring>

namespace caffe {

SyncedMemory::SyncedMemory(size_t size)
    : cpu_ptr_(NULL), gpu_ptr_(NULL), size_(size), head_(UNINITIALIZED) {}

SyncedMemory::~SyncedMemory() {
  std::free(cpu_ptr_);
#ifndef CPU_ONLY
  if (gpu_ptr_) CUDA_CHECK(cudaFree(gpu_ptr_));
#endif
}

void SyncedMemory::to_cpu() {
  if (!cpu_ptr_) cpu_ptr_ = std::calloc(size_ + 1, 1);
#ifndef CPU_ONLY
  if (head_ == HEAD_AT_GPU) {
    CUDA_CHECK(cudaMemcpy(cpu_ptr_, gpu_ptr_, size_, cudaMemcpyDefault));
    head_ = SYNCED;
  }
#endif
  if (head_ == UNINITIALIZED) head_ = HEAD_AT_CPU;
}

void SyncedMemory::to_gpu() {
#ifdef CPU_ONLY
  NO_GPU;
#else
  if (!gpu_ptr_) CUDA_CHECK(cudaMalloc(&gpu_ptr_, size_));
  if (head_ == UNINITIALIZED) {
    CUDA_CHECK(cudaMemset(gpu_ptr_, 0, size_));
    head_ = HEAD_AT_GPU;
  } else if (head_ == HEAD_AT_CPU) {
    CUDA_CHECK(cudaMemcpy(gpu_ptr_, cpu_ptr_, size_, cudaMemcpyDefault));
    head_ = SYNCED;
  }
#endif
}

const void* SyncedMemory::cpu_data() {
  to_cpu();
  return cpu_ptr_;
}
const void* SyncedMemory::gpu_data() {
  to_gpu();
  return gpu_ptr_;
}
void* SyncedMemory::mutable_cpu_data() {
  to_cpu();
  head_ = HEAD_AT_CPU;
  return cpu_ptr_;
}
void* SyncedMemory::mutable_gpu_data() {
  to_gpu();
  head_ = HEAD_AT_GPU;
  return gpu_ptr_;
}

}  // namespace caffe
