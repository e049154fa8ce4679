#include "caffe/ops/layout.hpp"

#include <atomic>
#include <type_traits>

#include "caffe/host_memory.hpp"
#include "caffe/ops/lanes.hpp"

namespace caffe {
namespace {

std::atomic<std::int64_t> reorder_count{0};

struct Extents {
  std::int64_t num, channels, spatial;
};

Extents ExtentsOf(const std::vector<int>& shape) {
  Extents e{1, 1, 1};
  if (!shape.empty()) e.num = shape[0];
  if (shape.size() > 1) e.channels = shape[1];
  for (std::size_t i = 2; i < shape.size(); ++i) e.spatial *= shape[i];
  return e;
}

// Transposes each (block, spatial) tile of `src` into (spatial, block) of `dst`.
template <int kBlock>
void PackBlocks(const float* src, std::int64_t tiles, std::int64_t spatial, float* dst) {
#pragma omp parallel for schedule(static)
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const float* in = src + tile * kBlock * spatial;
    float* out = dst + tile * kBlock * spatial;
    for (std::int64_t s = 0; s < spatial; ++s) {
      for (int c = 0; c < kBlock; ++c) out[s * kBlock + c] = in[c * spatial + s];
    }
  }
}

template <int kBlock>
void UnpackBlocks(const float* src, std::int64_t tiles, std::int64_t spatial,
                  float* dst) {
#pragma omp parallel for schedule(static)
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const float* in = src + tile * kBlock * spatial;
    float* out = dst + tile * kBlock * spatial;
    for (int c = 0; c < kBlock; ++c) {
      for (std::int64_t s = 0; s < spatial; ++s)
        out[c * spatial + s] = in[s * kBlock + c];
    }
  }
}

}  // namespace

ChannelBlockedTensor::ChannelBlockedTensor(const std::vector<int>& shape, int block)
    : block_(block), capacity_(0), data_(nullptr) {
  Reshape(shape, block);
}

ChannelBlockedTensor::~ChannelBlockedTensor() {
  if (data_) FreeHostMemory(data_);
}

void ChannelBlockedTensor::Reshape(const std::vector<int>& shape, int block) {
  const Extents e = ExtentsOf(shape);
  CHECK(block == 8 || block == 16)
      << "channel blocks hold 8 or 16 channels, got " << block;
  CHECK_EQ(e.channels % block, 0)
      << "shape " << ShapeText(shape) << " cannot be blocked by " << block;
  const std::size_t count = e.num * e.channels * e.spatial;
  if (count > capacity_) {
    if (data_) FreeHostMemory(data_);
    data_ = nullptr;
    data_ = static_cast<float*>(AllocateHostMemory(count * sizeof(float), false));
    capacity_ = count;
  }
  shape_ = shape;
  block_ = block;
}

void ChannelBlockedTensor::UnpackTo(void* plain) const {
  const Extents e = ExtentsOf(shape_);
  const std::int64_t tiles = e.num * e.channels / block_;
  float* out = static_cast<float*>(plain);
  block_ == 16 ? UnpackBlocks<16>(data_, tiles, e.spatial, out)
               : UnpackBlocks<8>(data_, tiles, e.spatial, out);
  ++reorder_count;
}

void ChannelBlockedTensor::PackFrom(const float* plain) {
  const Extents e = ExtentsOf(shape_);
  const std::int64_t tiles = e.num * e.channels / block_;
  block_ == 16 ? PackBlocks<16>(plain, tiles, e.spatial, data_)
               : PackBlocks<8>(plain, tiles, e.spatial, data_);
  ++reorder_count;
}

template <typename T>
int PreferredBlock(const std::vector<int>& shape) {
  if constexpr (!std::is_same_v<T, float>) return 1;
  const Extents e = ExtentsOf(shape);
  if (kFloatLanes == 1 || shape.size() < 3 || shape.size() > 5) return 1;
  const bool whole = e.channels > 0 && e.channels % kFloatLanes == 0;
  return whole && e.spatial > 1 ? kFloatLanes : 1;
}

bool SameInEveryLayout(const std::vector<int>& shape) {
  return ExtentsOf(shape).spatial == 1;
}

std::int64_t ReorderCount() { return reorder_count; }

template int PreferredBlock<float>(const std::vector<int>&);
template int PreferredBlock<double>(const std::vector<int>&);

}  // namespace caffe
