#ifndef CAFFE_OPS_TENSOR_HPP_
#define CAFFE_OPS_TENSOR_HPP_

#include <algorithm>
#include <vector>

#include "caffe/ops/layout.hpp"

namespace caffe {

/// One half of a blob, its data or its diff, so that an op need not know whether it
/// works on values or on gradients: a Deconvolution's forward is a Convolution's
/// backward. DataOf() and DiffOf() make one.
///
/// It gives the values in the layout that is asked for (layout.hpp). Code that works on
/// every layout asks for the one of the newest copy, so that nothing is converted, and
/// leaves its results in that:
///
///     const int block = DataOf(bottom[0]).block();
///     const Dtype* x = DataOf(bottom[0]).Read(block);
///     Dtype* y = DataOf(top[0]).WriteFrom(DataOf(bottom[0]), block);
template <typename T>
class Tensor {
 public:
  const std::vector<int>& shape() const { return blob_->shape(); }
  int count() const { return blob_->count(); }
  const shared_ptr<SyncedMemory>& memory() const {
    return diff_ ? blob_->diff() : blob_->data();
  }

  /// Channels per block of the newest copy: 1 when that is plain.
  int block() const;
  /// The values in layout `block`, converted first if the newest copy has another.
  const T* Read(int block) const;
  /// A buffer in layout `block` that becomes the newest copy; the caller fills all of it.
  T* Write(int block) const;
  /// Like Write, holding the present values.
  T* Modify(int block) const;
  /// For results that are computed from `src`, which is read first in the same layout:
  /// Write, or Modify where both are the same memory (a layer that works in place).
  T* WriteFrom(Tensor src, int block) const {
    return memory() == src.memory() ? Modify(block) : Write(block);
  }

  static Tensor Data(const Blob<T>* blob) { return Tensor(blob, false); }
  static Tensor Diff(const Blob<T>* blob) { return Tensor(blob, true); }

 private:
  // Blobs reach layers as plain pointers; which half is written is the op's affair.
  Tensor(const Blob<T>* blob, bool diff)
      : blob_(const_cast<Blob<T>*>(blob)), diff_(diff) {}
  Blob<T>* blob_;
  bool diff_;
};

template <typename T>
Tensor<T> DataOf(const Blob<T>* blob) {
  return Tensor<T>::Data(blob);
}
template <typename T>
Tensor<T> DiffOf(const Blob<T>* blob) {
  return Tensor<T>::Diff(blob);
}

template <typename T>
std::vector<Tensor<T>> DataOf(const std::vector<Blob<T>*>& blobs) {
  std::vector<Tensor<T>> tensors;
  for (const Blob<T>* blob : blobs) tensors.push_back(DataOf(blob));
  return tensors;
}
template <typename T>
std::vector<Tensor<T>> DiffOf(const std::vector<Blob<T>*>& blobs) {
  std::vector<Tensor<T>> tensors;
  for (const Blob<T>* blob : blobs) tensors.push_back(DiffOf(blob));
  return tensors;
}

/// The layout for reading several tensors together: packed if one of them is.
template <typename T>
int CommonBlock(const std::vector<Tensor<T>>& tensors) {
  int block = 1;
  for (const Tensor<T>& tensor : tensors) block = std::max(block, tensor.block());
  return block;
}

}  // namespace caffe

#endif  // CAFFE_OPS_TENSOR_HPP_
