#ifndef CAFFE_GPU_OWNED_HPP_
#define CAFFE_GPU_OWNED_HPP_

#include <memory>
#include <type_traits>

namespace caffe {

template <auto kDestroy>
struct DestroyBy {
  template <typename T>
  void operator()(T* handle) const {
    kDestroy(handle);
  }
};

/// A handle of one of NVIDIA's libraries, and the function that destroys it.
template <typename Handle, auto kDestroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, DestroyBy<kDestroy>>;

}  // namespace caffe

#endif  // CAFFE_GPU_OWNED_HPP_
