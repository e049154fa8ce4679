#ifndef CAFFE_OPS_TENSOR_HPP_
#define CAFFE_OPS_TENSOR_HPP_

#include <vector>

#include "caffe/ops/layout.hpp"

namespace caffe {

/// One half of a blob, so that an op need not know whether it works on values or
/// on gradients: a Deconvolution's forward is a Convolution's backward.
template <typename T>
class Tensor {
 public:
  const std::vector<int>& shape() const { return blob_->shape(); }
  int count() const { return blob_->count(); }
  const T* Read(int block) const {
    return diff_ ? caffe::ReadDiff(*blob_, block) : caffe::Read(*blob_, block);
  }
  T* Write(int block) const {
    return diff_ ? caffe::WriteDiff(blob_, block) : caffe::Write(blob_, block);
  }
  T* Modify(int block) const {
    return diff_ ? caffe::ModifyDiff(blob_, block) : caffe::Modify(blob_, block);
  }
  int block() const { return diff_ ? DiffBlockOf(*blob_) : BlockOf(*blob_); }
  const shared_ptr<SyncedMemory>& memory() const {
    return diff_ ? blob_->diff() : blob_->data();
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

}  // namespace caffe

#endif  // CAFFE_OPS_TENSOR_HPP_
