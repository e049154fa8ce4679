#ifndef CAFFE_GPU_PINNED_MEMORY_HPP_
#define CAFFE_GPU_PINNED_MEMORY_HPP_

#include <cstddef>

namespace caffe {
namespace device {

/// Page-locked memory of the host, which devices read and write while other work goes on,
/// from a cache of what was freed. Null where the system locks no more; the log has a
/// warning once.
void* AllocatePinned(std::size_t bytes);
/// From any thread.
void FreePinned(void* memory) noexcept;
/// How often the driver was asked for it.
std::size_t PinnedAllocations();

}  // namespace device
}  // namespace caffe

#endif  // CAFFE_GPU_PINNED_MEMORY_HPP_
