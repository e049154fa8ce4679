// CAFFE_TEST_MODE=GPU runs every test in GPU mode: of a library for GPUs, or of the
// emulated one (tests/cuda_emulation).

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "caffe/common.hpp"

namespace caffe {
namespace test {
namespace {

class GpuMode : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override { Caffe::set_mode(Caffe::GPU); }
  void OnTestEnd(const ::testing::TestInfo&) override { Caffe::set_mode(Caffe::CPU); }
};

const bool asked_for_gpu = [] {
  const char* mode = std::getenv("CAFFE_TEST_MODE");
  if (!mode || std::string(mode) != "GPU") return false;
  ::testing::UnitTest::GetInstance()->listeners().Append(new GpuMode);
  return true;
}();

}  // namespace
}  // namespace test
}  // namespace caffe
