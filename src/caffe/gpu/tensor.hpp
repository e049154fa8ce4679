#ifndef CAFFE_GPU_TENSOR_HPP_
#define CAFFE_GPU_TENSOR_HPP_

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/device.hpp"

namespace caffe {

/// How the elements of a blob (N, C, ...) lie in device memory.
enum class DeviceLayout {
  kPlain,         ///< row-major: N, C, H, W
  kChannelsLast,  ///< N, H, W, C, as tensor cores want it
};

/// What its elements are there.
enum class DeviceType {
  kOwn,       ///< the blob's own, float or double
  kBFloat16,  ///< of a float blob
  kFloat16,   ///< of a float blob
};

/// That of the activations of a net of blobs of T.
template <typename T>
DeviceType ActivationType(NetParameter::Precision precision) {
  if (!std::is_same_v<T, float>) return DeviceType::kOwn;
  if (precision == NetParameter::BF16) return DeviceType::kBFloat16;
  return precision == NetParameter::FP16 ? DeviceType::kFloat16 : DeviceType::kOwn;
}

struct DeviceFormat {
  DeviceLayout layout = DeviceLayout::kPlain;
  DeviceType type = DeviceType::kOwn;  ///< another one comes with kChannelsLast alone
  bool operator==(const DeviceFormat&) const = default;
};

/// A copy of a memory on the device with its channels last, and perhaps with fewer bits.
class ChannelsLastTensor : public PackedTensor {
 public:
  /// `own_bytes` is the size of the blob's own type.
  ChannelsLastTensor(const std::vector<int>& shape, DeviceType type,
                     std::size_t own_bytes);
  ~ChannelsLastTensor() override;

  bool Is(const std::vector<int>& shape, DeviceType type, std::size_t own_bytes) const {
    return shape_ == shape && type_ == type && own_bytes_ == own_bytes;
  }
  const std::vector<int>& shape() const { return shape_; }
  DeviceType type() const { return type_; }
  std::size_t own_bytes() const { return own_bytes_; }
  void* data() const {
    device::Touch(data_);
    return data_;
  }

  /// From a plain array of the same shape, of the blob's own type, on the device.
  void PackFrom(const void* plain);
  void UnpackTo(void* plain) const override;
  bool UnpackOnDevice(void* plain) const override;
  std::size_t bytes() const override { return bytes_; }

 private:
  std::vector<int> shape_;
  DeviceType type_;
  std::size_t own_bytes_, bytes_;
  void* data_;
  DISABLE_COPY_AND_ASSIGN(ChannelsLastTensor);
};

/// Whether a packed copy is one in device memory.
bool IsOnDevice(const PackedTensor* tensor);

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
  DeviceFormat format() const;
  /// Its layout if its elements are T, else kPlain: code that knows no other types reads
  /// values of those converted.
  DeviceLayout layout() const {
    return format().type == DeviceType::kOwn ? format().layout : DeviceLayout::kPlain;
  }
  /// The values in this layout, converted first if the newest copy has another.
  const T* Read(DeviceLayout layout = DeviceLayout::kPlain) const {
    return static_cast<const T*>(ReadAs({layout, DeviceType::kOwn}));
  }
  /// A buffer that becomes the newest copy; the caller fills all of it.
  T* Write(DeviceLayout layout = DeviceLayout::kPlain) const {
    return static_cast<T*>(WriteAs({layout, DeviceType::kOwn}));
  }
  /// Like Write, holding the present values.
  T* Modify(DeviceLayout layout = DeviceLayout::kPlain) const {
    return static_cast<T*>(ModifyAs({layout, DeviceType::kOwn}));
  }
  /// For results that are computed from `src`, which is read first in the same layout:
  /// Write, or Modify where both are the same memory (a layer that works in place).
  T* WriteFrom(DeviceTensor src, DeviceLayout layout = DeviceLayout::kPlain) const {
    return memory() == src.memory() ? Modify(layout) : Write(layout);
  }

  // The same for code that takes every type; WithElement() of gpu/element.cuh gives what
  // the pointers are to.
  const void* ReadAs(DeviceFormat format) const;
  void* WriteAs(DeviceFormat format) const;
  void* ModifyAs(DeviceFormat format) const;
  void* WriteFromAs(DeviceTensor src, DeviceFormat format) const {
    return memory() == src.memory() ? ModifyAs(format) : WriteAs(format);
  }

  static DeviceTensor Data(const Blob<T>* blob) { return DeviceTensor(blob, false); }
  static DeviceTensor Diff(const Blob<T>* blob) { return DeviceTensor(blob, true); }

 private:
  // Blobs reach layers as plain pointers; which half is written is the op's affair.
  DeviceTensor(const Blob<T>* blob, bool diff)
      : blob_(const_cast<Blob<T>*>(blob)), diff_(diff) {}
  std::shared_ptr<ChannelsLastTensor> PackedCopy() const;
  bool IsPlain(DeviceFormat format) const;

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

template <typename T>
std::vector<DeviceTensor<T>> DeviceDataOf(const std::vector<Blob<T>*>& blobs) {
  std::vector<DeviceTensor<T>> tensors;
  for (const Blob<T>* blob : blobs) tensors.push_back(DeviceDataOf(blob));
  return tensors;
}
template <typename T>
std::vector<DeviceTensor<T>> DeviceDiffOf(const std::vector<Blob<T>*>& blobs) {
  std::vector<DeviceTensor<T>> tensors;
  for (const Blob<T>* blob : blobs) tensors.push_back(DeviceDiffOf(blob));
  return tensors;
}

/// How often images have been brought from one format to another: each was a pass over
/// memory. Arrays without an image, (N, C, 1, 1) say, are not counted.
std::int64_t FormatConversionCount();

/// The format for reading several tensors together: that of the first whose channels are
/// last, if there is one.
template <typename T>
DeviceFormat CommonFormat(const std::vector<DeviceTensor<T>>& tensors) {
  for (const DeviceTensor<T>& tensor : tensors) {
    const DeviceFormat format = tensor.format();
    if (format.layout == DeviceLayout::kChannelsLast) return format;
  }
  return {};
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
