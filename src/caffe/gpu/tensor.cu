#include "caffe/gpu/tensor.hpp"

#include <cstdint>

#include "caffe/device.hpp"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

constexpr int kTile = 32;

// to[n, c, r] = from[n, r, c] of images of `rows` x `columns`, tile by tile, so that
// reads and writes both go along rows. One block does one tile, with kTile threads for
// its columns and as many rows at a time as there are threads left.
template <typename T>
__global__ void Transpose(int tiles, int rows, int columns, const T* from, T* to) {
  __shared__ T tile[kTile][kTile + 1];  // one more: no two rows start in one memory bank
  const int across = (columns + kTile - 1) / kTile;
  const int down = (rows + kTile - 1) / kTile;
  const int lane = threadIdx.x % kTile, step = blockDim.x / kTile;
  for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
    const std::int64_t image = std::int64_t{t / (across * down)} * rows * columns;
    const int row0 = t / across % down * kTile, column0 = t % across * kTile;
    for (int r = threadIdx.x / kTile; r < kTile; r += step) {
      if (row0 + r < rows && column0 + lane < columns) {
        tile[r][lane] = from[image + std::int64_t{row0 + r} * columns + column0 + lane];
      }
    }
    __syncthreads();
    for (int c = threadIdx.x / kTile; c < kTile; c += step) {
      if (column0 + c < columns && row0 + lane < rows) {
        to[image + std::int64_t{column0 + c} * rows + row0 + lane] = tile[lane][c];
      }
    }
    __syncthreads();
  }
}

void TransposeImages(int images, int rows, int columns, std::size_t element_bytes,
                     const void* from, void* to) {
  constexpr int kMostBlocks = 65535, kThreads = 256;
  const int tiles =
      images * ((rows + kTile - 1) / kTile) * ((columns + kTile - 1) / kTile);
  const int blocks = std::min(tiles, kMostBlocks);
  const auto start = [&]<typename T>(T) {
    LaunchKernel(Transpose<T>, blocks, kThreads, tiles, rows, columns,
                 static_cast<const T*>(from), static_cast<T*>(to));
  };
  // Only the size of an element matters.
  switch (element_bytes) {
    case 2:
      return start(std::uint16_t());
    case 4:
      return start(std::uint32_t());
    case 8:
      return start(std::uint64_t());
  }
  NOT_IMPLEMENTED;
}

int Product(const std::vector<int>& shape, std::size_t from) {
  int product = 1;
  for (std::size_t axis = from; axis < shape.size(); ++axis) product *= shape[axis];
  return product;
}

// Whether both layouts are the same bytes: without an image, or with one channel.
bool SameInBothLayouts(const std::vector<int>& shape) {
  return shape.size() < 3 || shape[1] == 1 || Product(shape, 2) == 1;
}

}  // namespace

ChannelsLastTensor::ChannelsLastTensor(const std::vector<int>& shape,
                                       std::size_t element_bytes)
    : shape_(shape),
      element_bytes_(element_bytes),
      bytes_(Product(shape, 0) * element_bytes),
      data_(device::Allocate(bytes_)) {}

ChannelsLastTensor::~ChannelsLastTensor() { device::Free(data_); }

void ChannelsLastTensor::PackFrom(const void* plain) {
  TransposeImages(shape_[0], shape_[1], Product(shape_, 2), element_bytes_, plain, data_);
}

bool ChannelsLastTensor::UnpackOnDevice(void* plain) const {
  TransposeImages(shape_[0], Product(shape_, 2), shape_[1], element_bytes_, data_, plain);
  return true;
}

void ChannelsLastTensor::UnpackTo(void* plain) const {
  const std::unique_ptr<void, decltype(&device::Free)> unpacked(device::Allocate(bytes_),
                                                                device::Free);
  UnpackOnDevice(unpacked.get());
  device::Copy(plain, unpacked.get(), bytes_);
}

// The valid copy if it has this shape; blobs of other shapes may share the memory.
template <typename T>
std::shared_ptr<ChannelsLastTensor> DeviceTensor<T>::PackedCopy() const {
  auto copy = std::dynamic_pointer_cast<ChannelsLastTensor>(memory()->packed());
  const bool fits =
      copy && copy->shape() == shape() && copy->element_bytes() == sizeof(T);
  return fits ? copy : nullptr;
}

template <typename T>
DeviceLayout DeviceTensor<T>::layout() const {
  return PackedCopy() ? DeviceLayout::kChannelsLast : DeviceLayout::kPlain;
}

template <typename T>
const T* DeviceTensor<T>::Read(DeviceLayout layout) const {
  if (layout == DeviceLayout::kPlain || SameInBothLayouts(shape())) {
    return static_cast<const T*>(memory()->gpu_data());
  }
  std::shared_ptr<ChannelsLastTensor> copy = PackedCopy();
  if (!copy) {
    const void* plain = memory()->gpu_data();
    copy = std::make_shared<ChannelsLastTensor>(shape(), sizeof(T));
    copy->PackFrom(plain);
    memory()->cache_packed(copy);
  }
  return static_cast<const T*>(copy->data());
}

template <typename T>
T* DeviceTensor<T>::Write(DeviceLayout layout) const {
  if (layout == DeviceLayout::kPlain || SameInBothLayouts(shape())) {
    return static_cast<T*>(memory()->overwrite_gpu_data());
  }
  auto storage =
      std::dynamic_pointer_cast<ChannelsLastTensor>(memory()->packed_storage());
  if (!storage || storage->shape() != shape() || storage->element_bytes() != sizeof(T)) {
    storage = std::make_shared<ChannelsLastTensor>(shape(), sizeof(T));
  }
  memory()->set_packed(storage);
  return static_cast<T*>(storage->data());
}

template <typename T>
T* DeviceTensor<T>::Modify(DeviceLayout layout) const {
  if (layout == DeviceLayout::kPlain || SameInBothLayouts(shape())) {
    return static_cast<T*>(memory()->mutable_gpu_data());
  }
  Read(layout);
  const std::shared_ptr<ChannelsLastTensor> copy = PackedCopy();
  memory()->set_packed(copy);
  return static_cast<T*>(copy->data());
}

template class DeviceTensor<float>;
template class DeviceTensor<double>;
template class DeviceTensor<int>;

}  // namespace caffe
