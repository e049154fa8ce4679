#ifndef CAFFE_GPU_ELEMENT_CUH_
#define CAFFE_GPU_ELEMENT_CUH_

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "caffe/gpu/tensor.hpp"

namespace caffe {

/// Calls f with a value of the type that the elements of a blob of T have: T, or what
/// stands for it in fewer bits. Those convert from and to float; arithmetic is in T.
///
///     const DeviceFormat format = DeviceDataOf(bottom[0]).format();
///     WithElement<Dtype>(format.type, [&]<typename S>(S) {
///       const S* x = static_cast<const S*>(DeviceDataOf(bottom[0]).ReadAs(format));
///       ...
///     });
template <typename T, typename F>
void WithElement(DeviceType type, F f) {
  if constexpr (std::is_same_v<T, float>) {
    if (type == DeviceType::kBFloat16) return f(__nv_bfloat16());
    if (type == DeviceType::kFloat16) return f(__half());
  }
  f(T());
}

// What DeviceTensor gives, as arrays of such elements.

template <typename S, typename T>
const S* ReadElements(const DeviceTensor<T>& tensor, DeviceFormat format) {
  return static_cast<const S*>(tensor.ReadAs(format));
}
template <typename S, typename T>
S* WriteElements(const DeviceTensor<T>& tensor, DeviceFormat format) {
  return static_cast<S*>(tensor.WriteAs(format));
}
template <typename S, typename T>
S* WriteElementsFrom(const DeviceTensor<T>& src, const DeviceTensor<T>& tensor,
                     DeviceFormat format) {
  return static_cast<S*>(tensor.WriteFromAs(src, format));
}

}  // namespace caffe

#endif  // CAFFE_GPU_ELEMENT_CUH_
