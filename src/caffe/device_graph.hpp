#ifndef CAFFE_DEVICE_GRAPH_HPP_
#define CAFFE_DEVICE_GRAPH_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "caffe/common.hpp"

namespace caffe {
namespace device {

/// Work on the selected device, recorded to be started again as a whole (a CUDA graph):
/// one call instead of one for each kernel.
class Graph {
 public:
  /// Records what `work` starts, none of which runs. Throws what `work` throws, and
  /// RuntimeFailure where it does what cannot be recorded; nothing is left of it then.
  ///
  /// The device memory that the work refers to stays with the graph while it lives:
  /// nobody else is given it, even if its owners have freed it. But where the device has
  /// no other memory left, the graph ends.
  explicit Graph(const std::function<void()>& work);
  ~Graph();

  /// Starts the work, in the order of the thread's other work. False, with nothing
  /// started, if its memory was given away.
  bool Launch();
  /// Kernels and the like in it.
  std::size_t size() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
  DISABLE_COPY_AND_ASSIGN(Graph);
};

/// Another number for every thread, and whenever it goes to another device: NVIDIA's
/// libraries keep memory for each, which a graph may refer to.
std::uint64_t GraphContext();

}  // namespace device
}  // namespace caffe

#endif  // CAFFE_DEVICE_GRAPH_HPP_
