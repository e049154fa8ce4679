#include "caffe/gpu/tensor.hpp"

#include <atomic>
#include <cstdint>

#include "caffe/device.hpp"
#include "caffe/gpu/buffer.hpp"
#include "caffe/gpu/element.cuh"
#include "caffe/gpu/for_each.cuh"
#include "caffe/util/cuda_launch.hpp"

namespace caffe {
namespace {

std::atomic<std::int64_t> conversions{0};

constexpr int kTile = 32;

// to[n, c, r] = from[n, r, c] of images of `rows` x `columns`, tile by tile, so that
// reads and writes both go along rows. One block does one tile, with kTile threads for
// its columns and as many rows at a time as there are threads left.
template <typename From, typename To>
__global__ void Transpose(int tiles, int rows, int columns, const From* from, To* to) {
  __shared__ From
      tile[kTile][kTile + 1];  // one more: no two rows start in one memory bank
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
        to[image + std::int64_t{column0 + c} * rows + row0 + lane] =
            static_cast<To>(tile[lane][c]);
      }
    }
    __syncthreads();
  }
}

template <typename From, typename To>
void TransposeImages(int images, int rows, int columns, const From* from, To* to) {
  constexpr int kMostBlocks = 65535, kThreads = 256;
  ++conversions;
  const int tiles =
      images * ((rows + kTile - 1) / kTile) * ((columns + kTile - 1) / kTile);
  LaunchKernel(Transpose<From, To>, std::min(tiles, kMostBlocks), kThreads, tiles, rows,
               columns, from, to);
}

template <typename From, typename To>
void ConvertElement(int count, const From* from, To* to) {
  ForEach(count, [=] __device__(int i) { to[i] = static_cast<To>(from[i]); });
}

// Calls f with a value of the tensor's own type and one of what its elements are.
template <typename F>
void WithTypes(const ChannelsLastTensor& tensor, F f) {
  if (tensor.own_bytes() == sizeof(double)) return f(double(), double());
  WithElement<float>(tensor.type(), [&](auto element) { f(float(), element); });
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

ChannelsLastTensor::ChannelsLastTensor(const std::vector<int>& shape, DeviceType type,
                                       std::size_t own_bytes)
    : shape_(shape),
      type_(type),
      own_bytes_(own_bytes),
      bytes_(Product(shape, 0) * (type == DeviceType::kOwn ? own_bytes : 2)),
      data_(device::Allocate(bytes_)) {}

ChannelsLastTensor::~ChannelsLastTensor() { device::Free(data_); }

void ChannelsLastTensor::PackFrom(const void* plain) {
  WithTypes(*this, [&]<typename Own, typename Element>(Own, Element) {
    const Own* from = static_cast<const Own*>(plain);
    Element* to = static_cast<Element*>(data());
    if (SameInBothLayouts(shape_)) return ConvertElement(Product(shape_, 0), from, to);
    TransposeImages(shape_[0], shape_[1], Product(shape_, 2), from, to);
  });
}

bool ChannelsLastTensor::UnpackOnDevice(void* plain) const {
  WithTypes(*this, [&]<typename Own, typename Element>(Own, Element) {
    const Element* from = static_cast<const Element*>(data());
    Own* to = static_cast<Own*>(plain);
    if (SameInBothLayouts(shape_)) return ConvertElement(Product(shape_, 0), from, to);
    TransposeImages(shape_[0], Product(shape_, 2), shape_[1], from, to);
  });
  return true;
}

void ChannelsLastTensor::UnpackTo(void* plain) const {
  const std::size_t bytes = Product(shape_, 0) * own_bytes_;
  const DeviceBuffer<char> unpacked(bytes);
  UnpackOnDevice(unpacked.get());
  device::Copy(plain, unpacked.get(), bytes);
}

bool IsOnDevice(const PackedTensor* tensor) {
  return dynamic_cast<const ChannelsLastTensor*>(tensor) != nullptr;
}

std::int64_t FormatConversionCount() { return conversions; }

// The valid copy if it has this shape; blobs of other shapes may share the memory.
template <typename T>
std::shared_ptr<ChannelsLastTensor> DeviceTensor<T>::PackedCopy() const {
  auto copy = std::dynamic_pointer_cast<ChannelsLastTensor>(memory()->packed());
  return copy && copy->Is(shape(), copy->type(), sizeof(T)) ? copy : nullptr;
}

template <typename T>
DeviceFormat DeviceTensor<T>::format() const {
  const auto copy = PackedCopy();
  return copy ? DeviceFormat{DeviceLayout::kChannelsLast, copy->type()} : DeviceFormat();
}

template <typename T>
bool DeviceTensor<T>::IsPlain(DeviceFormat format) const {
  return format.layout == DeviceLayout::kPlain ||
         (format.type == DeviceType::kOwn && SameInBothLayouts(shape()));
}

template <typename T>
const void* DeviceTensor<T>::ReadAs(DeviceFormat format) const {
  if (IsPlain(format)) return memory()->gpu_data();
  std::shared_ptr<ChannelsLastTensor> copy = PackedCopy();
  if (!copy || copy->type() != format.type) {
    const void* plain = memory()->gpu_data();
    const device::AllocatingFor owner(memory().get());
    copy = std::make_shared<ChannelsLastTensor>(shape(), format.type, sizeof(T));
    copy->PackFrom(plain);
    memory()->cache_packed(copy);
  }
  return copy->data();
}

template <typename T>
void* DeviceTensor<T>::WriteAs(DeviceFormat format) const {
  if (IsPlain(format)) return memory()->overwrite_gpu_data();
  auto storage =
      std::dynamic_pointer_cast<ChannelsLastTensor>(memory()->packed_storage());
  if (!storage || !storage->Is(shape(), format.type, sizeof(T))) {
    const device::AllocatingFor owner(memory().get());
    storage = std::make_shared<ChannelsLastTensor>(shape(), format.type, sizeof(T));
  }
  memory()->set_packed(storage);
  return storage->data();
}

template <typename T>
void* DeviceTensor<T>::ModifyAs(DeviceFormat format) const {
  if (IsPlain(format)) return memory()->mutable_gpu_data();
  ReadAs(format);
  const std::shared_ptr<ChannelsLastTensor> copy = PackedCopy();
  memory()->set_packed(copy);
  return copy->data();
}

template class DeviceTensor<float>;
template class DeviceTensor<double>;
template class DeviceTensor<int>;

}  // namespace caffe
