// The two layouts of blobs in device memory.

#include "caffe/gpu/tensor.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "caffe/device.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class DeviceTensorTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(DeviceTensorTest, FloatAndDouble);

// Within and across tiles of the transposition; one image, no channel to move, no image.
const std::vector<std::vector<int>> kShapes = {{2, 3, 4, 5}, {1, 33, 7, 9}, {3, 32, 8, 4},
                                               {2, 70, 5},   {2, 1, 6, 6},  {4, 8, 1, 1},
                                               {3, 5},       {0, 3, 2, 2}};

template <typename T>
Doubles FromDevice(const T* values, int count) {
  std::vector<T> host(count);
  device::Copy(host.data(), values, count * sizeof(T));
  return Doubles(host.begin(), host.end());
}

// (n, c, s) at (n, s, c).
Doubles WithChannelsLast(const Doubles& plain, const std::vector<int>& shape) {
  const int channels = shape[1];
  int spatial = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) spatial *= shape[axis];
  Doubles moved(plain.size());
  for (int n = 0; n < shape[0]; ++n) {
    for (int c = 0; c < channels; ++c) {
      for (int s = 0; s < spatial; ++s) {
        moved[(n * spatial + s) * channels + c] = plain[(n * channels + c) * spatial + s];
      }
    }
  }
  return moved;
}

TYPED_TEST(DeviceTensorTest, ReadsInBothLayouts) {
  for (const std::vector<int>& shape : kShapes) {
    SCOPED_TRACE(ShapeText(shape));
    Blob<TypeParam> blob(shape);
    Fill(&blob, 1);
    const Doubles plain = Values(blob);
    const auto tensor = DeviceDataOf(&blob);
    EXPECT_EQ(FromDevice(tensor.Read(DeviceLayout::kChannelsLast), blob.count()),
              WithChannelsLast(plain, shape));
    EXPECT_EQ(FromDevice(tensor.Read(), blob.count()), plain);
  }
}

TYPED_TEST(DeviceTensorTest, WhatIsWrittenChannelsLastReadsPlain) {
  for (const std::vector<int>& shape : kShapes) {
    SCOPED_TRACE(ShapeText(shape));
    Blob<TypeParam> blob(shape), source(shape);
    Fill(&source, 2);
    const Doubles plain = Values(source);
    const Doubles moved = WithChannelsLast(plain, shape);
    const std::vector<TypeParam> written(moved.begin(), moved.end());
    device::Copy(DeviceDiffOf(&blob).Write(DeviceLayout::kChannelsLast), written.data(),
                 written.size() * sizeof(TypeParam));
    EXPECT_EQ(FromDevice(blob.gpu_diff(), blob.count()), plain) << "on the device";
    EXPECT_EQ(Values(blob, Half::kDiff), plain) << "on the host";
  }
}

TYPED_TEST(DeviceTensorTest, HostValuesAreNotLostToAnOldPackedCopy) {
  Blob<TypeParam> blob(2, 3, 4, 5);
  Fill(&blob, 1);
  DeviceDataOf(&blob).Read(DeviceLayout::kChannelsLast);
  Fill(&blob, 2);
  const Doubles plain = Values(blob);
  EXPECT_EQ(DeviceDataOf(&blob).layout(), DeviceLayout::kPlain);
  EXPECT_EQ(FromDevice(DeviceDataOf(&blob).Read(DeviceLayout::kChannelsLast), 120),
            WithChannelsLast(plain, blob.shape()));
}

TYPED_TEST(DeviceTensorTest, ModifyKeepsTheValues) {
  Blob<TypeParam> blob(2, 3, 4, 5);
  Fill(&blob, 1);
  const Doubles plain = Values(blob);
  const auto tensor = DeviceDataOf(&blob);
  tensor.Read(DeviceLayout::kChannelsLast);
  const TypeParam* values = tensor.Modify(DeviceLayout::kChannelsLast);
  EXPECT_EQ(tensor.layout(), DeviceLayout::kChannelsLast);
  EXPECT_EQ(blob.data()->head(), SyncedMemory::HEAD_PACKED);
  EXPECT_EQ(FromDevice(values, 120), WithChannelsLast(plain, blob.shape()));
}

// Layouts of blobs that share memory in another shape would be each other's nonsense.
TYPED_TEST(DeviceTensorTest, AnotherShapeOfTheMemoryReadsPlain) {
  Blob<TypeParam> blob(2, 3, 4, 5), flat(std::vector<int>{2, 60});
  Fill(&blob, 1);
  const Doubles plain = Values(blob);
  flat.ShareData(blob);
  DeviceDataOf(&blob).Modify(DeviceLayout::kChannelsLast);
  EXPECT_EQ(DeviceDataOf(&flat).layout(), DeviceLayout::kPlain);
  EXPECT_EQ(FromDevice(DeviceDataOf(&flat).Read(), 120), plain);
}

}  // namespace
}  // namespace test
}  // namespace caffe
