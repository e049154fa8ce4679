#ifndef PYTHON_BINDINGS_DEVICE_ARRAY_HPP_
#define PYTHON_BINDINGS_DEVICE_ARRAY_HPP_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "blob.hpp"

namespace caffe::python {

/// Holds a memory for other libraries: while it is pinned, the engine leaves its device
/// pointer in place and up to date.
class DevicePin {
 public:
  DevicePin(std::shared_ptr<SyncedMemory> memory, bool writes)
      : memory_(std::move(memory)), writes_(writes) {
    memory_->PinOnDevice(writes_);
  }
  ~DevicePin() { memory_->UnpinOnDevice(writes_); }
  DevicePin(const DevicePin&) = delete;
  DevicePin& operator=(const DevicePin&) = delete;
  /// The pointer, at which the newest values are from now on.
  void* Newest() const;
  bool writes() const { return writes_; }

 private:
  const std::shared_ptr<SyncedMemory> memory_;
  const bool writes_;
};

/// `blob.gpu_data` and its like: the values of a blob in device memory, in the two ways
/// in which libraries of Python take such arrays from each other.
class DeviceArray {
 public:
  enum class Half { kData, kDiff };
  /// Throws RuntimeError where there is no GPU, in CPU mode, and for an array to write to
  /// where NumPy may write, too.
  DeviceArray(const BlobHandle& blob, Half half, bool writes);

  nb::dict CudaArrayInterface() const;
  nb::tuple DlpackDevice() const;
  nb::object Dlpack(std::optional<std::int64_t> stream,
                    const std::optional<std::pair<int, int>>& max_version,
                    const std::optional<std::pair<int, int>>& device,
                    std::optional<bool> copy) const;
  nb::tuple Shape() const;
  bool writes() const { return writes_; }

 private:
  void* Newest() const;

  SessionPtr session_;
  std::vector<std::int64_t> shape_;
  bool writes_;
  std::shared_ptr<DevicePin> pin_;  ///< null if there are no values
  int device_;
};

void BindDeviceArrays(nb::module_& m);

}  // namespace caffe::python

#endif  // PYTHON_BINDINGS_DEVICE_ARRAY_HPP_
