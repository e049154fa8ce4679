// LRN's device code, in both layouts, against the host's.

#include "caffe/layers/lrn_layer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "both_layouts.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

template <typename T>
class LRNDeviceTest : public GpuModeTest<T> {};
TYPED_TEST_SUITE(LRNDeviceTest, FloatAndDouble);

TYPED_TEST(LRNDeviceTest, IsTheHosts) {
  for (const std::string region : {"ACROSS_CHANNELS", "WITHIN_CHANNEL"}) {
    for (const std::string window : {"local_size: 5 alpha: 0.7 k: 2", "local_size: 1",
                                     "local_size: 9 beta: 0.5 alpha: 3"}) {
      for (const std::vector<int>& shape :
           {std::vector<int>{2, 7, 5, 6}, {1, 3, 9, 4}, {3, 40, 1, 1}}) {
        ExpectMatchesHost<TypeParam>(
            "type: 'LRN' lrn_param { norm_region: " + region + " " + window + " }",
            {shape}, OpKind::kTranscendental);
      }
    }
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
