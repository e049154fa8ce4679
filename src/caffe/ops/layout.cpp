#include "caffe/ops/layout.hpp"

#include <atomic>
#include <type_traits>

#include "caffe/host_memory.hpp"

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

void Pack(const float* src, const std::vector<int>& shape, int block, float* dst) {
  const Extents e = ExtentsOf(shape);
  const std::int64_t tiles = e.num * e.channels / block;
  block == 16 ? PackBlocks<16>(src, tiles, e.spatial, dst)
              : PackBlocks<8>(src, tiles, e.spatial, dst);
}

ChannelBlockedTensor* AsBlocked(const std::shared_ptr<PackedTensor>& tensor) {
  return dynamic_cast<ChannelBlockedTensor*>(tensor.get());
}

template <typename T>
bool IsPlainInEveryLayout(const std::vector<int>& shape) {
  return !std::is_same_v<T, float> || ExtentsOf(shape).spatial == 1;
}

// The valid packed copy if it has this blob's shape; blobs of other shapes may
// share the memory (Reshape, Flatten).
template <typename T>
ChannelBlockedTensor* ValidBlocked(const Blob<T>& blob, const SyncedMemory& memory) {
  ChannelBlockedTensor* tensor = AsBlocked(memory.packed());
  return tensor && tensor->shape() == blob.shape() ? tensor : nullptr;
}

template <typename T>
int BlockOfMemory(const Blob<T>& blob, const SyncedMemory& memory) {
  const ChannelBlockedTensor* tensor = ValidBlocked(blob, memory);
  return tensor ? tensor->block() : 1;
}

// A packed buffer of the wanted form, reusing the one of the last write if
// nobody else holds it.
template <typename T>
std::shared_ptr<ChannelBlockedTensor> Storage(const Blob<T>& blob,
                                              const SyncedMemory& memory, int block) {
  auto tensor = std::dynamic_pointer_cast<ChannelBlockedTensor>(memory.packed_storage());
  if (!tensor) return std::make_shared<ChannelBlockedTensor>(blob.shape(), block);
  tensor->Reshape(blob.shape(), block);
  return tensor;
}

template <typename T>
const T* ReadMemory(const Blob<T>& blob, SyncedMemory* memory, int block) {
  if constexpr (std::is_same_v<T, float>) {
    const ChannelBlockedTensor* tensor = ValidBlocked(blob, *memory);
    if (tensor && tensor->block() == block) return tensor->data();
    if (block > 1 && !IsPlainInEveryLayout<T>(blob.shape())) {
      const float* plain = static_cast<const float*>(memory->cpu_data());
      auto packed = Storage(blob, *memory, block);
      Pack(plain, blob.shape(), block, packed->data());
      ++reorder_count;
      memory->cache_packed(packed);
      return packed->data();
    }
  }
  return static_cast<const T*>(memory->cpu_data());
}

template <typename T>
T* WriteMemory(Blob<T>* blob, SyncedMemory* memory, int block) {
  if constexpr (std::is_same_v<T, float>) {
    if (block > 1 && !IsPlainInEveryLayout<T>(blob->shape())) {
      auto packed = Storage(*blob, *memory, block);
      memory->set_packed(packed);
      return packed->data();
    }
  }
  // The old values are of no interest: spares an unpacking.
  return static_cast<T*>(memory->overwrite_cpu_data());
}

template <typename T>
T* ModifyMemory(Blob<T>* blob, SyncedMemory* memory, int block) {
  const T* data = ReadMemory(*blob, memory, block);
  if constexpr (std::is_same_v<T, float>) {
    auto packed = memory->packed();
    const ChannelBlockedTensor* tensor = AsBlocked(packed);
    if (tensor && tensor->data() == data) {
      memory->set_packed(packed);
      return const_cast<T*>(data);
    }
  }
  return static_cast<T*>(memory->mutable_cpu_data());
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

template <typename T>
int PreferredBlock(const std::vector<int>& shape) {
  if constexpr (!std::is_same_v<T, float>) return 1;
#if defined(__AVX512F__)
  constexpr int kBlock = 16;
#elif defined(__AVX2__)
  constexpr int kBlock = 8;
#else
  constexpr int kBlock = 1;
#endif
  const Extents e = ExtentsOf(shape);
  if (kBlock == 1 || shape.size() < 3 || shape.size() > 5) return 1;
  return e.channels > 0 && e.channels % kBlock == 0 && e.spatial > 1 ? kBlock : 1;
}

template <typename T>
int BlockOf(const Blob<T>& blob) {
  return BlockOfMemory(blob, *blob.data());
}
template <typename T>
int DiffBlockOf(const Blob<T>& blob) {
  return BlockOfMemory(blob, *blob.diff());
}
template <typename T>
const T* Read(const Blob<T>& blob, int block) {
  return ReadMemory(blob, blob.data().get(), block);
}
template <typename T>
const T* ReadDiff(const Blob<T>& blob, int block) {
  return ReadMemory(blob, blob.diff().get(), block);
}
template <typename T>
T* Write(Blob<T>* blob, int block) {
  return WriteMemory(blob, blob->data().get(), block);
}
template <typename T>
T* WriteDiff(Blob<T>* blob, int block) {
  return WriteMemory(blob, blob->diff().get(), block);
}
template <typename T>
T* Modify(Blob<T>* blob, int block) {
  return ModifyMemory(blob, blob->data().get(), block);
}
template <typename T>
T* ModifyDiff(Blob<T>* blob, int block) {
  return ModifyMemory(blob, blob->diff().get(), block);
}

std::int64_t ReorderCount() { return reorder_count; }

#define INSTANTIATE_LAYOUT(T)                              \
  template int PreferredBlock<T>(const std::vector<int>&); \
  template int BlockOf(const Blob<T>&);                    \
  template int DiffBlockOf(const Blob<T>&);                \
  template const T* Read(const Blob<T>&, int);             \
  template const T* ReadDiff(const Blob<T>&, int);         \
  template T* Write(Blob<T>*, int);                        \
  template T* WriteDiff(Blob<T>*, int);                    \
  template T* Modify(Blob<T>*, int);                       \
  template T* ModifyDiff(Blob<T>*, int)
INSTANTIATE_LAYOUT(float);
INSTANTIATE_LAYOUT(double);

}  // namespace caffe
