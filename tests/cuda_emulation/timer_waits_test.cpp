// How often timers wait for the device, which only the emulation can count.

#include <cuda_emulation/control.h>
#include <gtest/gtest.h>

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/util/benchmark.hpp"
#include "caffe/util/math_functions.hpp"

namespace caffe {
namespace test {
namespace {

TEST(TimerWaitsTest, TimersReadAtTheEndWaitOnce) {
  Caffe::set_mode(Caffe::GPU);
  Blob<float> blob(1, 1, 8, 8);
  blob.mutable_gpu_diff();
  const unsigned long before = cuda_emulation_waits();
  std::vector<Timer> timers(10);
  Timer whole;
  whole.Start();
  for (Timer& timer : timers) {
    timer.Start();
    caffe_gpu_axpy(blob.count(), 1.f, blob.gpu_data(), blob.mutable_gpu_diff());
    timer.Stop();
  }
  whole.Stop();
  EXPECT_EQ(cuda_emulation_waits(), before);
  EXPECT_GT(whole.MicroSeconds(), 0);
  for (Timer& timer : timers) EXPECT_GT(timer.MicroSeconds(), 0);
  EXPECT_EQ(cuda_emulation_waits(), before + 1);
  Caffe::set_mode(Caffe::CPU);
}

TEST(TimerWaitsTest, ACpuTimerNeverWaits) {
  Caffe::set_mode(Caffe::GPU);
  const unsigned long before = cuda_emulation_waits();
  CPUTimer timer;
  timer.Start();
  timer.Stop();
  EXPECT_GE(timer.MicroSeconds(), 0);
  EXPECT_EQ(cuda_emulation_waits(), before);
  Caffe::set_mode(Caffe::CPU);
}

}  // namespace
}  // namespace test
}  // namespace caffe
