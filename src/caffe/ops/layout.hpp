#ifndef CAFFE_OPS_LAYOUT_HPP_
#define CAFFE_OPS_LAYOUT_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "caffe/blob.hpp"

namespace caffe {

/// Activations packed as (N, C/b, spatial..., b): b neighbouring channels lie
/// side by side, so one vector register holds them. b = 1 is plain NCHW.
///
/// Element (n, c, s) is at ((n * C/b + c/b) * S + s) * b + c % b. Such a tensor is
/// dense: it has exactly as many elements as the plain one.
class ChannelBlockedTensor : public PackedTensor {
 public:
  ChannelBlockedTensor(const std::vector<int>& shape, int block);
  ~ChannelBlockedTensor() override;
  void UnpackTo(void* plain) const override;
  void PackFrom(const float* plain);
  std::size_t bytes() const override { return capacity_ * sizeof(float); }

  const std::vector<int>& shape() const { return shape_; }
  int block() const { return block_; }
  float* data() const { return data_; }
  /// Gives the same buffer another shape; grows it when needed.
  void Reshape(const std::vector<int>& shape, int block);

 private:
  std::vector<int> shape_;
  int block_;
  std::size_t capacity_;
  float* data_;
};

/// Channels per block that the vector units of this machine want for a tensor of
/// `shape`, or 1 when it cannot be blocked (few axes, C not a multiple, double).
/// A tensor with one spatial position is the same in every layout and stays plain.
template <typename T>
int PreferredBlock(const std::vector<int>& shape);

/// Whether there is one spatial position only.
bool SameInEveryLayout(const std::vector<int>& shape);

/// Conversions between layouts since the process started.
std::int64_t ReorderCount();

}  // namespace caffe

#endif  // CAFFE_OPS_LAYOUT_HPP_
