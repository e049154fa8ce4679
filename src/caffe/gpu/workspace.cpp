#include "caffe/gpu/workspace.hpp"

#include <map>

#include "caffe/device.hpp"

namespace caffe {
namespace {

struct Scratch {
  ~Scratch() { device::Free(memory); }
  void* memory = nullptr;
  std::size_t bytes = 0;
};

}  // namespace

void* Workspace(std::size_t bytes) {
  thread_local std::map<int, Scratch> of_devices;
  Scratch& scratch = of_devices[device::Selected()];
  if (scratch.bytes < bytes) {
    // Given back first: both together may be more than there is.
    device::Free(scratch.memory);
    scratch.memory = nullptr;
    scratch.bytes = 0;
    scratch.memory = device::Allocate(bytes);
    scratch.bytes = bytes;
  }
  device::Touch(scratch.memory);
  return scratch.memory;
}

}  // namespace caffe
