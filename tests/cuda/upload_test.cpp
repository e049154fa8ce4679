// Arrays that go to the device while it works. Emulated streams do nothing before
// something waits for them, so that a missing wait shows as wrong values.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/device.hpp"
#include "caffe/device_upload.hpp"
#include "emulation_control.hpp"
#include "gpu_mode.hpp"

namespace caffe {
namespace test {
namespace {

using ::testing::Each;

constexpr int kCount = 3000;
constexpr std::size_t kBytes = kCount * sizeof(float);

class UploadTest : public GpuModeTest<float> {
 protected:
  void SetUp() override {
    GpuModeTest::SetUp();
    upload_ = std::make_unique<device::Upload>(device::Selected());
  }
  void TearDown() override {
    upload_.reset();
    GpuModeTest::TearDown();
  }

  /// Sends kCount times `value`.
  void Send(float value) {
    float* host = static_cast<float*>(upload_->Host(kBytes));
    std::fill_n(host, kCount, value);
    upload_->Send(host, kBytes);
  }
  /// Starts the copy of what was sent into `blob`, which takes its time.
  void Keep(Blob<float>* blob) {
    device::Copy(blob->mutable_gpu_data(), upload_->Receive(), kBytes);
    upload_->Release();
  }
  static std::vector<float> Read(const Blob<float>& blob) {
    return std::vector<float>(blob.cpu_data(), blob.cpu_data() + blob.count());
  }

  std::unique_ptr<device::Upload> upload_;
  Blob<float> first_{std::vector<int>{kCount}}, second_{std::vector<int>{kCount}};
};

TEST_F(UploadTest, WhatWasSentIsThere) {
  Send(3);
  Keep(&first_);
  EXPECT_THAT(Read(first_), Each(3));
}

TEST_F(UploadTest, TheHostsMemoryIsGivenWhenTheCopyHasLeftIt) {
  Send(1);
  std::fill_n(static_cast<float*>(upload_->Host(kBytes)), kCount, 2.f);
  Keep(&first_);
  EXPECT_THAT(Read(first_), Each(1));
}

TEST_F(UploadTest, TheDevicesMemoryIsOverwrittenWhenItHasBeenRead) {
  Send(1);
  Keep(&first_);
  Send(2);
  // The copy runs now, on its own stream; the reading of the first array must precede it.
  upload_->Host(kBytes);
  Keep(&second_);
  EXPECT_THAT(Read(first_), Each(1));
  EXPECT_THAT(Read(second_), Each(2));
}

TEST_F(UploadTest, ItsMemoryGrows) {
  Send(1);
  Keep(&first_);
  void* host = upload_->Host(2 * kBytes);
  std::fill_n(static_cast<float*>(host), 2 * kCount, 4.f);
  upload_->Send(host, 2 * kBytes);
  Blob<float> large(std::vector<int>{2 * kCount});
  device::Copy(large.mutable_gpu_data(), upload_->Receive(), 2 * kBytes);
  upload_->Release();
  EXPECT_THAT(Read(large), Each(4));
  EXPECT_THAT(Read(first_), Each(1));
}

// The memory that a new upload is given may have work of its owner before yet to run.
TEST_F(UploadTest, WhoseMemoryItWasFinishesFirst) {
  Blob<float> before(std::vector<int>{kCount});
  std::fill_n(before.mutable_cpu_data(), kCount, 7.f);
  device::TrimCache();
  void* memory = device::Allocate(kBytes);
  device::Copy(memory, before.gpu_data(), kBytes);
  device::Copy(first_.mutable_gpu_data(), memory, kBytes);
  device::Free(memory);
  Send(8);
  upload_->Host(kBytes);
  Keep(&second_);
  EXPECT_THAT(Read(first_), Each(7));
  EXPECT_THAT(Read(second_), Each(8));
}

TEST_F(UploadTest, OrdinaryMemoryOfTheHostCanBeSentToo) {
  const std::vector<float> values(kCount, 6);
  upload_->Send(values.data(), kBytes);
  Keep(&first_);
  EXPECT_THAT(Read(first_), Each(6));
}

TEST_F(UploadTest, LockedMemoryThatIsFreedIsHandedOutAgain) {
  Send(1);
  void* host = upload_->Host(kBytes);
  upload_.reset();
  const std::size_t before = device::CountMemory().pinned_allocations;
  device::Upload other(device::Selected());
  EXPECT_EQ(other.Host(kBytes), host);
  EXPECT_EQ(device::CountMemory().pinned_allocations, before);
}

TEST_F(UploadTest, WithoutLockedMemoryItTakesOrdinaryMemory) {
  NEEDS_EMULATION;
  const LockableMemory none(0);
  device::Upload upload(device::Selected());
  constexpr std::size_t kMany = 10 << 20;  // more than was freed so far
  char* host = static_cast<char*>(upload.Host(kMany));
  std::fill_n(host, kMany, 5);
  upload.Send(host, kMany);
  std::vector<char> back(kMany);
  device::Copy(back.data(), upload.Receive(), kMany);
  upload.Release();
  EXPECT_EQ(std::count(back.begin(), back.end(), 5), std::ptrdiff_t{kMany});
}

}  // namespace
}  // namespace test
}  // namespace caffe
