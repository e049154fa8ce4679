#ifndef CAFFE_GPU_TENSOR_HPP_
#define CAFFE_GPU_TENSOR_HPP_

#include <memory>
#include <vector>

#include "caffe/blob.hpp"

namespace caffe {

/// How the elements of a blob (N, C, ...) lie in device memory.
enum class DeviceLayout {
  kPlain,         ///< row-major: N, C, H, W
  kChannelsLast,  ///< N, H, W, C, as tensor cores want it
};

/// A copy of a memory on the device with its channels last.
class ChannelsLastTensor : public PackedTensor {
 public:
  ChannelsLastTensor(const std::vector<int>& shape, std::size_t element_bytes);
  ~ChannelsLastTensor() override;

  const std::vector<int>& shape() const { return shape_; }
  std::size_t element_bytes() const { return element_bytes_; }
  void* data() const { return data_; }

  /// From a plain array of the same shape on the device.
  void PackFrom(const void* plain);
  void UnpackTo(void* plain) const override;
  bool UnpackOnDevice(void* plain) const override;
  std::size_t bytes() const override { return bytes_; }

 private:
  std::vector<int> shape_;
  std::size_t element_bytes_, bytes_;
  void* data_;
  DISABLE_COPY_AND_ASSIGN(ChannelsLastTensor);
};

/// One half of a blob, its data or its diff, in device memory: what Tensor is on the host
/// (ops/tensor.hpp). DeviceDataOf() and DeviceDiffOf() make one.
///
/// Code that works on every layout asks for the one of the newest copy, so that nothing
/// is converted, and leaves its results in that:
///
///     const DeviceLayout layout = DeviceDataOf(bottom[0]).layout();
///     const Dtype* x = DeviceDataOf(bottom[0]).Read(layout);
///     Dtype* y = DeviceDataOf(top[0]).WriteFrom(DeviceDataOf(bottom[0]), layout);
///
/// Where the layout does not matter since it takes one alone, it is kPlain.
template <typename T>
class DeviceTensor {
 public:
  const std::vector<int>& shape() const { return blob_->shape(); }
  int count() const { return blob_->count(); }
  const shared_ptr<SyncedMemory>& memory() const {
    return diff_ ? blob_->diff() : blob_->data();
  }

  /// Of the newest copy.
  DeviceLayout layout() const;
  /// The values in this layout, converted first if the newest copy has another.
  const T* Read(DeviceLayout layout = DeviceLayout::kPlain) const;
  /// A buffer that becomes the newest copy; the caller fills all of it.
  T* Write(DeviceLayout layout = DeviceLayout::kPlain) const;
  /// Like Write, holding the present values.
  T* Modify(DeviceLayout layout = DeviceLayout::kPlain) const;
  /// For results that are computed from `src`, which is read first in the same layout:
  /// Write, or Modify where both are the same memory (a layer that works in place).
  T* WriteFrom(DeviceTensor src, DeviceLayout layout = DeviceLayout::kPlain) const {
    return memory() == src.memory() ? Modify(layout) : Write(layout);
  }

  static DeviceTensor Data(const Blob<T>* blob) { return DeviceTensor(blob, false); }
  static DeviceTensor Diff(const Blob<T>* blob) { return DeviceTensor(blob, true); }

 private:
  // Blobs reach layers as plain pointers; which half is written is the op's affair.
  DeviceTensor(const Blob<T>* blob, bool diff)
      : blob_(const_cast<Blob<T>*>(blob)), diff_(diff) {}
  std::shared_ptr<ChannelsLastTensor> PackedCopy() const;

  Blob<T>* blob_;
  bool diff_;
};

template <typename T>
DeviceTensor<T> DeviceDataOf(const Blob<T>* blob) {
  return DeviceTensor<T>::Data(blob);
}
template <typename T>
DeviceTensor<T> DeviceDiffOf(const Blob<T>* blob) {
  return DeviceTensor<T>::Diff(blob);
}

/// The layout for reading several tensors together: channels last if one of them is.
template <typename T>
DeviceLayout CommonLayout(const std::vector<DeviceTensor<T>>& tensors) {
  for (const DeviceTensor<T>& tensor : tensors) {
    if (tensor.layout() == DeviceLayout::kChannelsLast) return tensor.layout();
  }
  return DeviceLayout::kPlain;
}

}  // namespace caffe

#endif  // CAFFE_GPU_TENSOR_HPP_
