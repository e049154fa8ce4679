// Means between the memories of GPUs. A thread for each stands for a process.

#include "caffe/parallel/device_mean.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/device.hpp"
#include "caffe/util/math_functions.hpp"
#include "gpu_mode.hpp"
#include "parallel/thread_group.hpp"

namespace caffe {
namespace test {
namespace {

// What rank `rank` gives for element i: whole numbers, whose means over two are exact.
int Value(int rank, int i) { return i % 97 + 10 * rank; }

template <typename T>
class DeviceMeanTest : public GpuModeTest<T> {
 protected:
  void SetUp() override {
    if (!DeviceMean::Supported()) GTEST_SKIP() << "the build has no NCCL";
    if (device::Count() < 2) GTEST_SKIP() << "there are fewer than two GPUs";
    GpuModeTest<T>::SetUp();
  }
};
TYPED_TEST_SUITE(DeviceMeanTest, FloatAndDouble);

// Several arrays, of which one is sent by itself for its size. Before and behind the
// means there are kernels that nobody waits for.
TYPED_TEST(DeviceMeanTest, ReplacesTheValuesOfBothGpus) {
  const std::vector<int> counts = {5, 1, 1 << 20, 300};
  ThreadGroup::Run(2, [&](ThreadGroup* group) {
    Caffe::SetDevice(group->rank());
    Caffe::set_mode(Caffe::GPU);
    const std::unique_ptr<DeviceMean> mean = DeviceMean::Make(group);
    ASSERT_NE(mean, nullptr);
    std::vector<std::unique_ptr<Blob<TypeParam>>> blobs;
    for (const int count : counts) {
      blobs.push_back(std::make_unique<Blob<TypeParam>>(std::vector<int>{count}));
      TypeParam* values = blobs.back()->mutable_cpu_data();
      for (int i = 0; i < count; ++i) values[i] = Value(group->rank(), i);
      caffe_gpu_scal(count, TypeParam(4), blobs.back()->mutable_gpu_data());
    }
    for (const auto& blob : blobs) mean->Start(blob->mutable_gpu_data(), blob->count());
    mean->Finish();
    for (const auto& blob : blobs) {
      caffe_gpu_scal(blob->count(), TypeParam(0.5), blob->mutable_gpu_data());
    }
    for (const auto& blob : blobs) {
      for (int i = 0; i < blob->count(); ++i) {
        ASSERT_EQ(blob->cpu_data()[i], Value(0, i) + Value(1, i)) << i;
      }
    }
  });
}

TYPED_TEST(DeviceMeanTest, RanksThatShareAGpuGoThroughHostMemory) {
  ThreadGroup::Run(2, [](ThreadGroup* group) {
    Caffe::SetDevice(1);
    Caffe::set_mode(Caffe::GPU);
    EXPECT_EQ(DeviceMean::Make(group), nullptr);
  });
}

}  // namespace
}  // namespace test
}  // namespace caffe
