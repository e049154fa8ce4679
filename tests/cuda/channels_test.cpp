#include "caffe/gpu/channels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "both_layouts.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class ChannelsTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(ChannelsTest, FloatAndDouble);

// Matrices, small images, one large image, many channels, and channels whose sums are
// taken in several parts.
std::vector<std::vector<int>> ShapesOfArrays() {
  return {{1, 1, 1},    {5, 3, 1},    {2, 33, 4},   {3, 7, 50},
          {1, 2, 5000}, {2, 1500, 3}, {300, 40, 1}, {70, 3, 65}};
}

ChannelShape ShapeOf(const std::vector<int>& shape) {
  return {shape[0], shape[1], shape[2]};
}

TYPED_TEST(ChannelsTest, SumsAreAddedToWhatIsThere) {
  for (const std::vector<int>& shape : ShapesOfArrays()) {
    for (const DeviceLayout layout : kBothLayouts) {
      SCOPED_TRACE(ShapeText(shape) + NameOf(layout));
      Blob<TypeParam> x(shape), sums({shape[1]});
      Fill(&x, 1);
      Fill(&sums, 2);
      Doubles want = Values(sums);
      const Doubles values = Values(x);
      for (std::size_t i = 0; i < values.size(); ++i) {
        want[i / shape[2] % shape[1]] += values[i];
      }
      MoveTo(layout, DeviceDataOf(&x));
      Doubles first;
      for (int repeat = 0; repeat < 2; ++repeat) {
        Fill(&sums, 2);
        AddChannelSums(layout, ShapeOf(shape), DeviceDataOf(&x).Read(layout),
                       sums.mutable_gpu_data());
        const int terms = shape[0] * shape[2] + 1;
        ExpectClose(Values(sums), want, ToleranceOf<TypeParam>(OpKind::kReduction, terms),
                    "sums");
        if (repeat == 0) first = Values(sums);
      }
      ExpectClose(Values(sums), first, ToleranceOf<TypeParam>(OpKind::kCopy), "again");
    }
  }
}

TYPED_TEST(ChannelsTest, FinishAddsAndRectifies) {
  for (const std::vector<int>& shape : ShapesOfArrays()) {
    for (const DeviceLayout layout : kBothLayouts) {
      for (int parts = 0; parts < 8; ++parts) {
        SCOPED_TRACE(Str(ShapeText(shape), NameOf(layout), parts));
        const bool with_bias = parts & 1, with_addend = parts & 2, relu = parts & 4;
        Blob<TypeParam> y(shape), bias({shape[1]}), addend(shape);
        Fill(&y, 1);
        Fill(&bias, 2);
        Fill(&addend, 3);
        const Doubles b = Values(bias), z = Values(addend);
        Doubles want = Values(y);
        for (std::size_t i = 0; i < want.size(); ++i) {
          if (with_bias) want[i] += b[i / shape[2] % shape[1]];
          if (with_addend) want[i] += z[i];
          if (relu) want[i] = std::max(want[i], 0.0);
        }
        MoveTo(layout, DeviceDataOf(&y));
        FinishChannels<TypeParam>(
            layout, ShapeOf(shape), with_bias ? bias.gpu_data() : nullptr,
            with_addend ? DeviceDataOf(&addend).Read(layout) : nullptr, relu,
            DeviceDataOf(&y).Modify(layout));
        ExpectClose(Values(y), want, ToleranceOf<TypeParam>(OpKind::kElementwise), "y");
      }
    }
  }
}

TYPED_TEST(ChannelsTest, TheReluHidesNothing) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const Doubles values = {-2, nan, infinity, -infinity, 0, 3};
  const Doubles want = {0, nan, infinity, nan, 0, 3};
  for (const DeviceLayout layout : kBothLayouts) {
    Blob<TypeParam> y({1, 2, 3});
    FillWith(&y, Half::kData, [&](int i) { return values[i]; });
    MoveTo(layout, DeviceDataOf(&y));
    FinishChannels<TypeParam>(layout, {1, 2, 3}, nullptr, nullptr, true,
                              DeviceDataOf(&y).Modify(layout));
    ExpectClose(Values(y), want, ToleranceOf<TypeParam>(OpKind::kCopy), "y");
  }
}

TYPED_TEST(ChannelsTest, ChannelsLastAreAddedToPlain) {
  for (const std::vector<int>& shape : ShapesOfArrays()) {
    SCOPED_TRACE(ShapeText(shape));
    Blob<TypeParam> from(shape), to(shape);
    Fill(&from, 1);
    Fill(&to, 2);
    Doubles want = Values(to);
    const Doubles values = Values(from);
    for (std::size_t i = 0; i < want.size(); ++i) want[i] += values[i];
    AddToPlain(ShapeOf(shape), DeviceType::kOwn,
               DeviceDataOf(&from).Read(DeviceLayout::kChannelsLast),
               to.mutable_gpu_data());
    ExpectClose(Values(to), want, ToleranceOf<TypeParam>(OpKind::kElementwise), "to");
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
