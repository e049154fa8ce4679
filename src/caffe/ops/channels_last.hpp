#ifndef CAFFE_OPS_CHANNELS_LAST_HPP_
#define CAFFE_OPS_CHANNELS_LAST_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "caffe/ops/bfloat16.hpp"
#include "caffe/ops/tensor.hpp"

namespace caffe {

/// Activations in bfloat16 with the channels last, (N, spatial..., C), as the matrix
/// units of processors (AMX) multiply them: element (n, c, s) is at (n * S + s) * C + c.
///
/// Only results of an inference net are left so, and only where all that read them know
/// this form (net/passes/fuse.cpp); whoever else asks gets plain float32.
class Bfloat16Tensor : public PackedTensor {
 public:
  Bfloat16Tensor() = default;
  ~Bfloat16Tensor() override;
  void UnpackTo(void* plain) const override;
  std::size_t bytes() const override { return capacity_ * sizeof(Bfloat16); }

  const std::vector<int>& shape() const { return shape_; }
  Bfloat16* data() const { return data_; }
  /// Gives the same buffer another shape; grows it when needed.
  void Reshape(const std::vector<int>& shape);

 private:
  std::vector<int> shape_;
  std::size_t capacity_ = 0;
  Bfloat16* data_ = nullptr;
};

/// The newest copy of a tensor if it has this form, else null.
template <typename T>
const Bfloat16* ChannelsLast(const Tensor<T>& tensor);

/// A buffer of this form that becomes the newest copy; the caller fills all of it.
Bfloat16* WriteChannelsLast(const Tensor<float>& tensor);

/// The values in this form, out of whichever copy is the newest.
void CopyChannelsLast(const Tensor<float>& tensor, Bfloat16* to);

/// The other way for float32 with the channels last: into the layout that the machine
/// wants for the tensor.
void StoreChannelsLast(const float* from, const Tensor<float>& tensor);

/// Whether kernels for this form take a tensor: (N, C, H, W) of several places, C a
/// multiple of kBfloat16Lanes.
bool FitsChannelsLast(const std::vector<int>& shape);

/// Copies into this form and out of it since the process started.
std::int64_t ChannelsLastCopies();

}  // namespace caffe

#endif  // CAFFE_OPS_CHANNELS_LAST_HPP_
