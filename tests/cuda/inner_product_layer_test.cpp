// InnerProduct's device code against the host's, and the choice of its kernels.

#include "caffe/layers/inner_product_layer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "both_layouts.hpp"
#include "caffe/gpu/matmul.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"
#include "sixteen_bits.hpp"

namespace caffe {
namespace test {
namespace {

std::string InnerProduct(const std::string& param) {
  return "type: 'InnerProduct' inner_product_param { weight_filler { type: 'gaussian' } "
         "bias_filler { type: 'gaussian' } " +
         param + " }";
}

template <typename T>
class InnerProductDeviceTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(InnerProductDeviceTest, FloatAndDouble);

TYPED_TEST(InnerProductDeviceTest, IsTheHosts) {
  for (const std::string transpose : {"true", "false"}) {
    for (const std::string bias : {"true", "false"}) {
      for (const std::vector<int>& shape :
           {std::vector<int>{1, 3}, {5, 7}, {70, 33}, {2, 5, 3, 4}}) {
        SCOPED_TRACE(ShapeText(shape));
        ExpectMatchesHost<TypeParam>(InnerProduct("num_output: 37 transpose: " +
                                                  transpose + " bias_term: " + bias),
                                     {shape}, OpKind::kReduction, 72);
      }
    }
  }
}

TYPED_TEST(InnerProductDeviceTest, AnEmptyBatchIsNothingToDo) {
  LayerRun<TypeParam> run(InnerProduct("num_output: 3"), {{0, 4}});
  run.Forward();
  run.Backward();
  EXPECT_EQ(run.top[0]->shape(), std::vector<int>({0, 3}));
  for (const auto& blob : run.layer->blobs()) {
    ExpectClose(Values(*blob, Half::kDiff), Doubles(blob->count(), 0),
                ToleranceOf<TypeParam>(OpKind::kCopy), "gradient");
  }
}

// Products are of rounded factors; all else is float32.
TEST(InnerProduct16BitsTest, IsTheProductOfRoundedFactors) {
  for (const SixteenBits& bits : kSixteenBits) {
    for (const std::string transpose : {"true", "false"}) {
      for (const std::vector<int>& shape :
           {std::vector<int>{1, 3}, {70, 33}, {4, 8, 1, 1}, {2, 5, 3, 4}}) {
        SCOPED_TRACE(Str(bits.name, ShapeText(shape), transpose));
        const std::string text = InnerProduct("num_output: 37 transpose: " + transpose);
        Caffe::set_mode(Caffe::CPU);
        LayerRun<float> host(text, {shape});
        host.SetUp();
        LayerRun<float> run(text, {shape});
        LayerOptions options;
        options.precision = bits.precision;
        run.layer->Prepare(options);
        run.SetUp();
        for (int i = 0; i < 2; ++i) {
          run.layer->blobs()[i]->CopyFrom(*host.layer->blobs()[i]);
          FillDiff(run.layer->blobs()[i].get(), i, 0, 0);
        }
        bits.Round(host.layer->blobs()[0].get());
        bits.Round(host.bottom[0]);
        host.Forward();
        FillDiff(host.top[0], 100);
        FillDiff(host.layer->blobs()[1].get(), 1, 0, 0);
        host.layer->Backward(host.top, {true}, host.bottom);
        const Doubles bias_diff = Values(*host.layer->blobs()[1], Half::kDiff);
        bits.Round(host.top[0], Half::kDiff);
        FillDiff(host.layer->blobs()[0].get(), 0, 0, 0);
        host.layer->Backward(host.top, {true}, host.bottom);

        Caffe::set_mode(Caffe::GPU);
        const Tolerance tolerance = ToleranceOf<float>(OpKind::kReduction, 72);
        MoveTo(bits.format(), DeviceDataOf(run.bottom[0]));
        run.layer->Forward(run.bottom, run.top);
        ExpectClose(run.Top(), host.Top(), tolerance, "top");
        FillDiff(run.top[0], 100);
        run.layer->Backward(run.top, {true}, run.bottom);
        ExpectClose(run.BottomDiff(0), host.BottomDiff(0), tolerance, "diff of bottom");
        ExpectClose(Values(*run.layer->blobs()[0], Half::kDiff),
                    Values(*host.layer->blobs()[0], Half::kDiff), tolerance, "dw");
        ExpectClose(Values(*run.layer->blobs()[1], Half::kDiff), bias_diff, tolerance,
                    "db");
      }
    }
  }
  Caffe::set_mode(Caffe::CPU);
}

using InnerProductSearchTest = GpuModeTest<float>;

TEST_F(InnerProductSearchTest, HappensOnceForAProblem) {
  LayerRun<float> first(InnerProduct("num_output: 11"), {{6, 13}});
  const std::int64_t before = MatmulSearchCount();
  first.Forward();
  EXPECT_EQ(MatmulSearchCount(), before + 1);
  LayerRun<float> second(InnerProduct("num_output: 11"), {{6, 13}});
  second.Forward();
  first.Forward();
  EXPECT_EQ(MatmulSearchCount(), before + 1);
  LayerRun<float> other(InnerProduct("num_output: 12"), {{6, 13}});
  other.Forward();
  EXPECT_EQ(MatmulSearchCount(), before + 2);
}

}  // namespace
}  // namespace test
}  // namespace caffe
