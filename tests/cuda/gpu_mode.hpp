#ifndef CAFFE_TESTS_GPU_MODE_HPP_
#define CAFFE_TESTS_GPU_MODE_HPP_

#include <gtest/gtest.h>

#include "caffe/common.hpp"

namespace caffe {
namespace test {

/// Layers of these tests run their device code.
template <typename T>
class GpuModeTest : public ::testing::Test {
 protected:
  void SetUp() override { Caffe::set_mode(Caffe::GPU); }
  void TearDown() override {
    Caffe::set_mode(Caffe::CPU);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }
};
using FloatAndDouble = ::testing::Types<float, double>;

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_GPU_MODE_HPP_
