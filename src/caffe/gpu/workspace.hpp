#ifndef CAFFE_GPU_WORKSPACE_HPP_
#define CAFFE_GPU_WORKSPACE_HPP_

#include <cstddef>

namespace caffe {

/// Scratch memory of at least `bytes` on the selected device, one for each thread and
/// device. All that the thread runs there shares it, one after another in the order of
/// the stream: what is left in it the next user overwrites, and a larger request moves
/// it.
void* Workspace(std::size_t bytes);

}  // namespace caffe

#endif  // CAFFE_GPU_WORKSPACE_HPP_
