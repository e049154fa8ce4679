// InnerProduct's device code against the host's, and the choice of its kernels.

#include "caffe/layers/inner_product_layer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "both_layouts.hpp"
#include "caffe/gpu/matmul.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"

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
