#ifndef CAFFE_HOST_MEMORY_HPP_
#define CAFFE_HOST_MEMORY_HPP_

#include <cstddef>
#include <memory>

#include "caffe/common.hpp"

namespace caffe {

class HostMemoryArena;

/// Host memory aligned to a cache line, zero-filled if asked. Throws RuntimeError when
/// there is none.
void* AllocateHostMemory(std::size_t size, bool zero = true);
/// From any thread, whether or not the pool that the memory came from still exists.
void FreeHostMemory(void* pointer);

/// Memory that work frees and soon wants again, in other sizes: while a Scope lives, the
/// large allocations of its thread come from the pool. What is freed joins its free
/// neighbours and is handed out again, already mapped, so that the pool needs little
/// more than what is in use at the worst moment. Where the system has no address space
/// for it, a pool is empty and everything comes from the system.
class HostMemoryPool {
 public:
  HostMemoryPool();
  ~HostMemoryPool();

  class Scope {
   public:
    /// Null leaves the thread as it is.
    explicit Scope(HostMemoryPool* pool);
    ~Scope();
    DISABLE_COPY_AND_ASSIGN(Scope);

   private:
    HostMemoryPool* outer_;
  };

  /// Returns to the system what was not needed since the last call.
  void Trim();
  /// Bytes that the pool holds and nobody uses.
  std::size_t free_bytes() const;

 private:
  friend void* AllocateHostMemory(std::size_t, bool);
  std::shared_ptr<HostMemoryArena> arena_;
  DISABLE_COPY_AND_ASSIGN(HostMemoryPool);
};

}  // namespace caffe

#endif  // CAFFE_HOST_MEMORY_HPP_
