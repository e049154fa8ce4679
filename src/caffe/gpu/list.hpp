#ifndef CAFFE_GPU_LIST_HPP_
#define CAFFE_GPU_LIST_HPP_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/gpu/buffer.hpp"

namespace caffe {

/// A short list, such as of arrays, as a kernel is given it: as a part of its parameters,
/// which costs nothing, as far as it fits. Only a longer list is copied to the device,
/// and that waits for the device's work.
template <typename V>
class DeviceList {
 public:
  /// For a kernel; valid while the DeviceList lives.
  class View {
   public:
    CAFFE_HOST_DEVICE int size() const { return size_; }
    CAFFE_HOST_DEVICE const V& operator[](int i) const {
      return i < kInline ? first_[i] : rest_[i - kInline];
    }

   private:
    friend class DeviceList;
    static constexpr int kInline = 24;
    int size_ = 0;
    const V* rest_ = nullptr;
    V first_[kInline] = {};
  };

  explicit DeviceList(const std::vector<V>& list) {
    const std::size_t first = std::min<std::size_t>(list.size(), View::kInline);
    std::copy_n(list.begin(), first, view_.first_);
    view_.size_ = static_cast<int>(list.size());
    if (list.size() == first) return;
    rest_ = std::make_unique<DeviceBuffer<V>>(list.size() - first);
    device::Copy(rest_->get(), list.data() + first, (list.size() - first) * sizeof(V));
    view_.rest_ = rest_->get();
  }

  const View& view() const { return view_; }

 private:
  View view_;
  std::unique_ptr<DeviceBuffer<V>> rest_;
};

}  // namespace caffe

#endif  // CAFFE_GPU_LIST_HPP_
