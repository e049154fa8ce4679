// Pooling's device code, in both layouts, against the host's.

#include "caffe/layers/pooling_layer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "both_layouts.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"
#include "sixteen_bits.hpp"

namespace caffe {
namespace test {
namespace {

std::string Pooling(const std::string& param) {
  return "type: 'Pooling' pooling_param { " + param + " }";
}

struct Case {
  std::string param;
  std::vector<int> shape;
};

// Windows that overlap, overhang and leave gaps; and whole images, of fewer positions
// than a warp, of more than a block, and of channels that do not fill a warp.
std::vector<Case> Cases() {
  return {
      {"kernel_size: 3 stride: 2", {2, 5, 9, 8}},
      {"kernel_size: 3 stride: 2 pad: 1", {2, 40, 7, 6}},
      {"kernel_size: 4 stride: 3 pad: 1", {1, 3, 11, 10}},
      {"kernel_size: 2 stride: 4", {1, 3, 9, 8}},
      {"kernel_h: 1 kernel_w: 5 stride: 1", {3, 2, 4, 9}},
      {"kernel_size: 3 stride: 2", {1, 2, 2, 2}},
      {"global_pooling: true", {2, 33, 2, 3}},
      {"global_pooling: true", {2, 70, 7, 7}},
      {"global_pooling: true", {1, 5, 40, 53}},
      // One window that the image does not fill.
      {"kernel_size: 8 stride: 1 pad: 1", {2, 3, 6, 6}},
      {"kernel_size: 9 stride: 9 pad: 1", {2, 3, 7, 7}},
  };
}

template <typename T>
class PoolingDeviceTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(PoolingDeviceTest, FloatAndDouble);

TYPED_TEST(PoolingDeviceTest, MaxIsTheHosts) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(ShapeText(c.shape));
    ExpectMatchesHost<TypeParam>(Pooling(c.param), {c.shape}, OpKind::kCopy, 1, 2);
  }
}

TEST(PoolingDevice16BitsTest, IsTheHosts) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(ShapeText(c.shape));
    // A gradient is a sum over windows.
    ExpectMatchesHostIn16Bits(Pooling(c.param), {c.shape}, OpKind::kReduction, 9);
    ExpectMatchesHostIn16Bits(Pooling("pool: AVE " + c.param), {c.shape},
                              OpKind::kReduction, c.shape[2] * c.shape[3]);
  }
  Caffe::set_mode(Caffe::CPU);
}

TYPED_TEST(PoolingDeviceTest, MeanIsTheHosts) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(ShapeText(c.shape));
    ExpectMatchesHost<TypeParam>(Pooling("pool: AVE " + c.param), {c.shape},
                                 OpKind::kReduction, c.shape[2] * c.shape[3]);
  }
}

// Equal values, NaN, infinities, and windows without any number.
template <typename T>
void Spoil(LayerRun<T>* run) {
  Blob<T>* blob = run->bottom[0];
  const double infinity = std::numeric_limits<double>::infinity();
  const double values[] = {1, 1, std::nan(""), -infinity, infinity, -2, 1};
  FillWith(blob, Half::kData, [&](int i) {
    if (i < blob->count(1)) return i % 2 ? std::nan("") : -infinity;
    return values[Bits(7, i) % std::size(values)];
  });
}

TYPED_TEST(PoolingDeviceTest, TakesWhatIsNoNumberAsTheHostDoes) {
  for (const std::string param : {"kernel_size: 3 stride: 2", "global_pooling: true"}) {
    for (const std::string method : {"MAX", "AVE"}) {
      ExpectMatchesHost<TypeParam>(Pooling("pool: " + method + " " + param),
                                   {{2, 3, 8, 9}}, OpKind::kReduction, 72,
                                   method == "MAX" ? 2 : 1, Spoil<TypeParam>);
    }
  }
}

// The places that a Forward on the host has left, packed or not, and the reverse.
TYPED_TEST(PoolingDeviceTest, TheModeMayChangeBetweenThePasses) {
  const std::string text = Pooling("kernel_size: 3 stride: 2");
  const Shapes shapes = {{2, 16, 7, 6}};
  LayerRun<TypeParam> whole(text, shapes);
  Caffe::set_mode(Caffe::CPU);
  whole.Forward();
  whole.Backward();
  for (const bool forward_on_host : {true, false}) {
    for (const bool packed : {false, true}) {
      SCOPED_TRACE(Str("forward on the ", forward_on_host ? "host" : "GPU",
                       packed ? ", packed" : ""));
      LayerRun<TypeParam> run(text, shapes);
      run.SetUp();
      if (forward_on_host) {
        if constexpr (std::is_same_v<TypeParam, float>) {
          if (packed) FillPacked(run.bottom[0], run.Bottom(0), 8);
        }
      } else if (packed) {
        MoveTo(DeviceLayout::kChannelsLast, DeviceDataOf(run.bottom[0]));
      }
      Caffe::set_mode(forward_on_host ? Caffe::CPU : Caffe::GPU);
      run.Forward();
      Caffe::set_mode(forward_on_host ? Caffe::GPU : Caffe::CPU);
      run.Backward();
      ExpectClose(run.BottomDiff(0), whole.BottomDiff(0),
                  ToleranceOf<TypeParam>(OpKind::kCopy), "dx");
    }
  }
}

TYPED_TEST(PoolingDeviceTest, AnEmptyBatchIsNothingToDo) {
  for (const std::string method : {"MAX", "AVE"}) {
    LayerRun<TypeParam> run(Pooling("pool: " + method + " kernel_size: 2"),
                            {{0, 3, 4, 4}});
    run.Forward();
    run.Backward();
    EXPECT_EQ(run.top[0]->shape(), std::vector<int>({0, 3, 3, 3}));
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
