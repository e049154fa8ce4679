#include "caffe/ops/channels_last.hpp"

#include <algorithm>
#include <atomic>
#include <type_traits>

#include "caffe/host_memory.hpp"
#include "caffe/util/parallel_tasks.hpp"

namespace caffe {

namespace {

std::atomic<std::int64_t> copies{0};

std::int64_t Spatial(const std::vector<int>& shape) {
  std::int64_t spatial = 1;
  for (std::size_t i = 2; i < shape.size(); ++i) spatial *= shape[i];
  return spatial;
}

// Copies (rows, columns) into (columns, rows), for each image.
template <typename From, typename To, typename Convert>
void Transpose(const From* from, std::int64_t images, std::int64_t rows,
               std::int64_t columns, To* to, Convert convert) {
  // Squares, so that both sides stay in the cache.
  constexpr std::int64_t kSide = 16;
  const std::int64_t strips = (columns + kSide - 1) / kSide;
  ParallelTasks(images * strips, images * rows * columns, [&](std::int64_t task) {
    const std::int64_t first = task % strips * kSide;
    const std::int64_t last = std::min(columns, first + kSide);
    const From* image = from + task / strips * rows * columns;
    To* out = to + task / strips * rows * columns;
    for (std::int64_t row = 0; row < rows; row += kSide) {
      for (std::int64_t column = first; column < last; ++column) {
        for (std::int64_t r = row; r < std::min(rows, row + kSide); ++r) {
          out[column * rows + r] = convert(image[r * columns + column]);
        }
      }
    }
  });
}

}  // namespace

Bfloat16Tensor::~Bfloat16Tensor() {
  if (data_) FreeHostMemory(data_);
}

void Bfloat16Tensor::Reshape(const std::vector<int>& shape) {
  std::size_t count = 1;
  for (const int extent : shape) count *= extent;
  if (count > capacity_) {
    if (data_) FreeHostMemory(data_);
    data_ = nullptr;
    data_ = static_cast<Bfloat16*>(AllocateHostMemory(count * sizeof(Bfloat16), false));
    capacity_ = count;
  }
  shape_ = shape;
}

void Bfloat16Tensor::UnpackTo(void* plain) const {
  ++copies;
  Transpose(data_, shape_[0], Spatial(shape_), shape_[1], static_cast<float*>(plain),
            FromBfloat16);
}

template <typename T>
const Bfloat16* ChannelsLast(const Tensor<T>& tensor) {
  if constexpr (!std::is_same_v<T, float>) return nullptr;
  const auto* copy = dynamic_cast<const Bfloat16Tensor*>(tensor.memory()->packed().get());
  return copy && copy->shape() == tensor.shape() ? copy->data() : nullptr;
}

Bfloat16* WriteChannelsLast(const Tensor<float>& tensor) {
  auto storage =
      std::dynamic_pointer_cast<Bfloat16Tensor>(tensor.memory()->packed_storage());
  if (!storage) storage = std::make_shared<Bfloat16Tensor>();
  storage->Reshape(tensor.shape());
  tensor.memory()->set_packed(storage);
  return storage->data();
}

void CopyChannelsLast(const Tensor<float>& tensor, Bfloat16* to) {
  ++copies;
  const std::vector<int>& shape = tensor.shape();
  const std::int64_t spatial = Spatial(shape), channels = shape[1];
  const int block = tensor.block();
  const float* from = tensor.Read(block);
  if (block == 1) {
    Transpose(from, shape[0], channels, spatial, to,
              [](float value) { return ToBfloat16(value); });
    return;
  }
  const std::int64_t blocks = channels / block;
  ParallelTasks(shape[0] * blocks, tensor.count(), [&](std::int64_t task) {
    const float* in = from + task * spatial * block;
    Bfloat16* out = to + task / blocks * spatial * channels + task % blocks * block;
    for (std::int64_t s = 0; s < spatial; ++s) {
      for (int c = 0; c < block; ++c)
        out[s * channels + c] = ToBfloat16(in[s * block + c]);
    }
  });
}

void StoreChannelsLast(const float* from, const Tensor<float>& tensor) {
  const std::vector<int>& shape = tensor.shape();
  const std::int64_t spatial = Spatial(shape), channels = shape[1];
  const int block = PreferredBlock<float>(shape);
  float* to = tensor.Write(block);
  if (block == 1) {
    return Transpose(from, shape[0], spatial, channels, to,
                     [](float value) { return value; });
  }
  const std::int64_t blocks = channels / block;
  ParallelTasks(shape[0] * blocks, tensor.count(), [&](std::int64_t task) {
    const float* in = from + task / blocks * spatial * channels + task % blocks * block;
    float* out = to + task * spatial * block;
    for (std::int64_t s = 0; s < spatial; ++s) {
      std::copy_n(in + s * channels, block, out + s * block);
    }
  });
}

bool FitsChannelsLast(const std::vector<int>& shape) {
  return shape.size() == 4 && shape[0] > 0 && shape[1] > 0 &&
         shape[1] % kBfloat16Lanes == 0 && Spatial(shape) > 1;
}

std::int64_t ChannelsLastCopies() { return copies; }

template const Bfloat16* ChannelsLast(const Tensor<float>&);
template const Bfloat16* ChannelsLast(const Tensor<double>&);

}  // namespace caffe
