// Timer in GPU mode: by the device's own events.

#include <gtest/gtest.h>

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/util/benchmark.hpp"
#include "caffe/util/math_functions.hpp"
#include "gpu_mode.hpp"

namespace caffe {
namespace test {
namespace {

class DeviceTimerTest : public GpuModeTest<float> {
 protected:
  void Work(int repetitions) {
    for (int i = 0; i < repetitions; ++i) {
      caffe_gpu_axpy(blob_.count(), 1.f, blob_.gpu_data(), blob_.mutable_gpu_diff());
    }
  }
  Blob<float> blob_{1, 1, 64, 1024};
};

TEST_F(DeviceTimerTest, PartsAddUpToNoMoreThanTheWhole) {
  Work(1);
  std::vector<Timer> parts(3);
  Timer whole;
  whole.Start();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].Start();
    Work(5);
    parts[i].Stop();
  }
  whole.Stop();
  float sum = 0;
  for (Timer& part : parts) {
    EXPECT_GT(part.MicroSeconds(), 0);
    sum += part.MicroSeconds();
  }
  // Events are told in steps of half a microsecond.
  EXPECT_LE(sum, whole.MicroSeconds() + 0.5f * parts.size());
  EXPECT_FLOAT_EQ(whole.MicroSeconds(), 1000 * whole.MilliSeconds());
}

TEST_F(DeviceTimerTest, ReadsWhatItWasStartedOn) {
  Timer timer;
  timer.Start();
  Work(1);
  Caffe::set_mode(Caffe::CPU);
  EXPECT_GT(timer.MicroSeconds(), 0) << "the device's";
  timer.Start();
  timer.Stop();
  const float host = timer.MicroSeconds();
  EXPECT_EQ(timer.MicroSeconds(), host);
  Caffe::set_mode(Caffe::GPU);
}

TEST_F(DeviceTimerTest, CanBeUsedAgain) {
  Timer timer;
  for (int repetition = 0; repetition < 3; ++repetition) {
    timer.Start();
    Work(1);
    timer.Stop();
    EXPECT_GT(timer.MicroSeconds(), 0);
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
