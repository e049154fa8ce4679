#ifndef CAFFE_TESTS_CUDA_EMULATION_CONTROL_HPP_
#define CAFFE_TESTS_CUDA_EMULATION_CONTROL_HPP_

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>

// What the emulation counts and limits; a GPU does not, and these tests are left out
// there.
#if __has_include(<cuda_emulation/control.h>)
#include <cuda_emulation/control.h>
#define NEEDS_EMULATION
#else
#define NEEDS_EMULATION GTEST_SKIP() << "what the emulated GPUs count is asked for"
namespace cuda_emulation {
struct Given {
  std::size_t calls = 0, bytes_sent = 0;
};
inline Given CountGiven() { return {}; }
inline void SetLockableMemory(std::size_t) {}
inline void SetDeviceMemory(std::size_t) {}
}  // namespace cuda_emulation
#endif

namespace caffe {
namespace test {

/// What was given to GPUs since it was made.
class GivenSince {
 public:
  std::size_t calls() const { return cuda_emulation::CountGiven().calls - start_.calls; }
  std::size_t bytes_sent() const {
    return cuda_emulation::CountGiven().bytes_sent - start_.bytes_sent;
  }

 private:
  const cuda_emulation::Given start_ = cuda_emulation::CountGiven();
};

/// While it lives, the system locks no more than so many bytes.
class LockableMemory {
 public:
  explicit LockableMemory(std::size_t bytes) { cuda_emulation::SetLockableMemory(bytes); }
  ~LockableMemory() {
    cuda_emulation::SetLockableMemory(std::numeric_limits<std::size_t>::max());
  }
};

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_CUDA_EMULATION_CONTROL_HPP_
