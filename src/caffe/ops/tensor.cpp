#include "caffe/ops/tensor.hpp"

#include <memory>
#include <type_traits>

namespace caffe {
namespace {

// The valid packed copy if it has this shape; blobs of other shapes may share the memory
// (Reshape, Flatten).
template <typename T>
ChannelBlockedTensor* PackedCopy(const Tensor<T>& tensor) {
  auto* copy = dynamic_cast<ChannelBlockedTensor*>(tensor.memory()->packed().get());
  return copy && copy->shape() == tensor.shape() ? copy : nullptr;
}

// A packed buffer of the wanted form, reusing the one of the last write if nobody else
// holds it.
template <typename T>
std::shared_ptr<ChannelBlockedTensor> Storage(const Tensor<T>& tensor, int block) {
  auto storage =
      std::dynamic_pointer_cast<ChannelBlockedTensor>(tensor.memory()->packed_storage());
  if (!storage) return std::make_shared<ChannelBlockedTensor>(tensor.shape(), block);
  storage->Reshape(tensor.shape(), block);
  return storage;
}

}  // namespace

template <typename T>
int Tensor<T>::block() const {
  const ChannelBlockedTensor* copy = PackedCopy(*this);
  return copy ? copy->block() : 1;
}

template <typename T>
const T* Tensor<T>::Read(int block) const {
  if constexpr (std::is_same_v<T, float>) {
    const ChannelBlockedTensor* copy = PackedCopy(*this);
    if (copy && copy->block() == block) return copy->data();
    if (block > 1 && !SameInEveryLayout(shape())) {
      const float* plain = static_cast<const float*>(memory()->cpu_data());
      const auto packed = Storage(*this, block);
      packed->PackFrom(plain);
      memory()->cache_packed(packed);
      return packed->data();
    }
  }
  return static_cast<const T*>(memory()->cpu_data());
}

template <typename T>
T* Tensor<T>::Write(int block) const {
  if constexpr (std::is_same_v<T, float>) {
    if (block > 1 && !SameInEveryLayout(shape())) {
      const auto packed = Storage(*this, block);
      memory()->set_packed(packed);
      return packed->data();
    }
  }
  // The old values are of no interest: spares an unpacking.
  return static_cast<T*>(memory()->overwrite_cpu_data());
}

template <typename T>
T* Tensor<T>::Modify(int block) const {
  const T* values = Read(block);
  if constexpr (std::is_same_v<T, float>) {
    const auto packed = memory()->packed();
    const auto* copy = dynamic_cast<const ChannelBlockedTensor*>(packed.get());
    if (copy && copy->data() == values) {
      memory()->set_packed(packed);
      return const_cast<T*>(values);
    }
  }
  return static_cast<T*>(memory()->mutable_cpu_data());
}

template class Tensor<float>;
template class Tensor<double>;

}  // namespace caffe
