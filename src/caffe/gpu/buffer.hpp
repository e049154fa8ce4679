#ifndef CAFFE_GPU_BUFFER_HPP_
#define CAFFE_GPU_BUFFER_HPP_

#include <cstddef>
#include <memory>

#include "caffe/device.hpp"

namespace caffe {

/// Memory of the selected device for `count` elements, not initialised. It may go while
/// kernels that use it have yet to run: whoever gets it next comes behind them.
template <typename T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::size_t count)
      : memory_(device::Allocate(count * sizeof(T)), device::Free) {}
  T* get() const {
    device::Touch(memory_.get());
    return static_cast<T*>(memory_.get());
  }

 private:
  std::unique_ptr<void, decltype(&device::Free)> memory_;
};

}  // namespace caffe

#endif  // CAFFE_GPU_BUFFER_HPP_
