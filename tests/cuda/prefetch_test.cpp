// Batches that data layers read ahead, on their way to the device.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caffe/device.hpp"
#include "caffe/resumable.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/math_functions.hpp"
#include "data/data_test.hpp"
#include "emulation_control.hpp"
#include "gpu_mode.hpp"
#include "layer_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr int kImages = 7, kChannels = 3, kHeight = 6, kWidth = 8, kBatch = 4;

/// The data of one Forward.
struct Delivered {
  Doubles images, labels;
  bool operator==(const Delivered&) const = default;
};

template <typename T>
class PrefetchTest : public GpuModeTest<T> {
 protected:
  void SetUp() override {
    GpuModeTest<T>::SetUp();
    Caffe::set_random_seed(1701);
    std::vector<Datum> datums;
    for (int i = 0; i < kImages; ++i) {
      datums.push_back(RawDatum(i, kChannels, kHeight, kWidth, i));
    }
    WriteDatums(folder_ / "db", datums);
  }

  std::string Text(const std::string& transform, const std::string& more = "") const {
    return Str(
        "name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: '",
        folder_ / "db", "' backend: LMDB batch_size: ", kBatch, " ", more,
        " } transform_param { ", transform, " }");
  }

  TemporaryFolder folder_;
};
TYPED_TEST_SUITE(PrefetchTest, FloatAndDouble);

/// A data layer in the mode of the moment, and what it delivered.
template <typename T>
class Reader {
 public:
  explicit Reader(const std::string& text)
      : layer_(LayerRegistry<T>::CreateLayer(LayerFromText(text))) {
    // Each is the first layer since the seed was set: all draw alike.
    Caffe::set_random_seed(1701);
    layer_->SetUp({}, tops_);
  }

  /// Copies of the next batches. On a device, nothing is waited for before all are
  /// started, and layers in place write to the tops behind each.
  std::vector<Delivered> Next(int count) {
    std::vector<std::unique_ptr<Blob<T>>> kept;
    for (int i = 0; i < count; ++i) {
      layer_->Forward({}, tops_);
      for (Blob<T>* top : tops_) {
        kept.push_back(std::make_unique<Blob<T>>(top->shape()));
        kept.back()->CopyFrom(*top);
      }
      if (Caffe::mode() == Caffe::GPU) {
        caffe_gpu_set(data_.count(), T(-1), data_.mutable_gpu_data());
      }
    }
    std::vector<Delivered> delivered;
    for (int i = 0; i < count; ++i) {
      delivered.push_back({Values(*kept[2 * i]), Values(*kept[2 * i + 1])});
    }
    return delivered;
  }

  Layer<T>& layer() { return *layer_; }
  Blob<T>& label() { return label_; }

 private:
  std::shared_ptr<Layer<T>> layer_;
  Blob<T> data_, label_;
  std::vector<Blob<T>*> tops_ = {&data_, &label_};
};

const char* const kTransforms[] = {
    "mirror: true crop_size: 5 mean_value: 3 mean_value: 100 mean_value: 7.25 scale: 0.3",
    "crop_size: 4 random_resized_crop { } max_rotation: 20 max_jitter: 9 mean_value: 9"};

TYPED_TEST(PrefetchTest, BringsWhatTheProcessorGets) {
  for (const std::string transform : kTransforms) {
    for (const std::string more : {"", "prefetch: 1", "prefetch: 2 decode_threads: 3"}) {
      SCOPED_TRACE(transform + ", " + more);
      Caffe::set_mode(Caffe::CPU);
      const auto want = Reader<TypeParam>(this->Text(transform, more)).Next(12);
      Caffe::set_mode(Caffe::GPU);
      EXPECT_EQ(Reader<TypeParam>(this->Text(transform, more)).Next(12), want);
    }
  }
}

// By the place of each pixel in the whole image.
TYPED_TEST(PrefetchTest, SubtractsAMeanImage) {
  BlobProto mean;
  for (const int dim : {1, kChannels, kHeight, kWidth})
    mean.mutable_shape()->add_dim(dim);
  for (int i = 0; i < kChannels * kHeight * kWidth; ++i) {
    mean.add_data(static_cast<float>(128 + 100 * Uniform(3, i)));
  }
  const std::string file = this->folder_ / "mean.binaryproto";
  WriteProtoToBinaryFile(mean, file);
  const std::string text =
      this->Text(Str("mean_file: '", file, "' mirror: true crop_size: 5 scale: 0.017"));
  Caffe::set_mode(Caffe::CPU);
  const auto want = Reader<TypeParam>(text).Next(12);
  Caffe::set_mode(Caffe::GPU);
  EXPECT_EQ(Reader<TypeParam>(text).Next(12), want);
}

// Among images of 8 bits, one of floats and one that cannot be decoded.
TYPED_TEST(PrefetchTest, TakesImagesThatAreNoPixels) {
  std::vector<Datum> datums;
  for (int i = 0; i < kImages; ++i) {
    datums.push_back(RawDatum(i, kChannels, kHeight, kWidth, i));
  }
  datums[2].clear_data();
  for (int i = 0; i < kChannels * kHeight * kWidth; ++i) {
    datums[2].add_float_data(static_cast<float>(Uniform(2, i)));
  }
  datums[5] = EncodedDatum("no image", 5);
  WriteDatums(this->folder_ / "mixed", datums);
  const std::string text =
      Str("name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: '",
          this->folder_ / "mixed", "' backend: LMDB batch_size: ", kBatch,
          " on_bad_image: ZERO } transform_param { ", kTransforms[0], " }");
  Caffe::set_mode(Caffe::CPU);
  const auto want = Reader<TypeParam>(text).Next(10);
  Caffe::set_mode(Caffe::GPU);
  EXPECT_EQ(Reader<TypeParam>(text).Next(10), want);
}

TYPED_TEST(PrefetchTest, SendsEachPixelAsAByteWhereItCan) {
  NEEDS_EMULATION;
  constexpr std::size_t kLabels = kBatch * sizeof(TypeParam);
  constexpr std::size_t kMeans = kChannels * sizeof(TypeParam);  // once
  constexpr std::size_t kPlaces = kBatch * 3 * sizeof(int);
  const struct {
    std::size_t batch, once;
  } kWant[] = {
      {kBatch * kChannels * 5 * 5 + kPlaces + kLabels, kMeans},
      {kBatch * kChannels * 4 * 4 * sizeof(TypeParam) + kLabels, 0},
  };
  for (int i = 0; i < 2; ++i) {
    SCOPED_TRACE(kTransforms[i]);
    const GivenSince given;
    constexpr int kSteps = 10;
    Reader<TypeParam>(this->Text(kTransforms[i], "prefetch: 1")).Next(kSteps);
    // The thread that reads ahead was at the next batch.
    const std::size_t sent = given.bytes_sent() - kWant[i].once;
    EXPECT_EQ(sent % kWant[i].batch, 0u);
    EXPECT_GE(sent / kWant[i].batch, std::size_t{kSteps});
    EXPECT_LE(sent / kWant[i].batch, std::size_t{kSteps} + 1);
  }
}

TYPED_TEST(PrefetchTest, GoesOnWhenTheModeChanges) {
  const std::string text = this->Text(kTransforms[0]);
  Caffe::set_mode(Caffe::CPU);
  std::vector<Delivered> want = Reader<TypeParam>(text).Next(20);
  Reader<TypeParam> reader(text);
  std::vector<Delivered> got = reader.Next(5);
  for (const Caffe::Brew mode : {Caffe::GPU, Caffe::CPU, Caffe::GPU}) {
    Caffe::set_mode(mode);
    for (Delivered& delivered : reader.Next(5)) got.push_back(std::move(delivered));
  }
  EXPECT_EQ(got, want);
}

TYPED_TEST(PrefetchTest, ContinuesWhereItWas) {
  const std::string text = this->Text(kTransforms[0]);
  Reader<TypeParam> whole(text);
  whole.Next(3);
  LayerState state;
  ASSERT_TRUE(dynamic_cast<Resumable&>(whole.layer()).SaveState(&state));
  const auto want = whole.Next(6);
  Reader<TypeParam> resumed(text);
  resumed.Next(1);
  dynamic_cast<Resumable&>(resumed.layer()).RestoreState(state);
  EXPECT_EQ(resumed.Next(6), want);
}

// The host has them from the start.
TYPED_TEST(PrefetchTest, LabelsAreOnBothSides) {
  Reader<TypeParam> reader(this->Text(kTransforms[0]));
  reader.Next(1);
  EXPECT_EQ(reader.label().data()->head(), SyncedMemory::SYNCED);
  std::vector<TypeParam> on_device(kBatch);
  device::Copy(on_device.data(), reader.label().gpu_data(), kBatch * sizeof(TypeParam));
  for (int i = 0; i < kBatch; ++i) {
    EXPECT_EQ(on_device[i], i);
    EXPECT_EQ(reader.label().cpu_data()[i], i);
  }
}

TYPED_TEST(PrefetchTest, ASteadyStepAsksForNoMemory) {
  for (const std::string transform : kTransforms) {
    Reader<TypeParam> reader(this->Text(transform));
    reader.Next(6);  // all of the batches read ahead have been delivered once
    const device::MemoryCounts before = device::CountMemory();
    for (int i = 0; i < 6; ++i) reader.Next(1);
    EXPECT_EQ(device::CountMemory().pinned_allocations, before.pinned_allocations);
    EXPECT_EQ(device::CountMemory().driver_allocations, before.driver_allocations);
  }
}

TYPED_TEST(PrefetchTest, NeedsNoLockedMemory) {
  NEEDS_EMULATION;
  Caffe::set_mode(Caffe::CPU);
  const auto want = Reader<TypeParam>(this->Text(kTransforms[0])).Next(9);
  Caffe::set_mode(Caffe::GPU);
  const LockableMemory none(0);
  EXPECT_EQ(Reader<TypeParam>(this->Text(kTransforms[0])).Next(9), want);
}

// Images of other sizes, one by one.
TYPED_TEST(PrefetchTest, BatchesMayGrowAndShrink) {
  std::vector<Datum> datums;
  for (const int height : {5, 9, 3, 12, 4}) {
    datums.push_back(RawDatum(height, kChannels, height, kWidth, height));
  }
  WriteDatums(this->folder_ / "sizes", datums);
  const std::string text =
      Str("name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: '",
          this->folder_ / "sizes", "' backend: LMDB batch_size: 1 prefetch: 2 }");
  Caffe::set_mode(Caffe::CPU);
  const auto want = Reader<TypeParam>(text).Next(15);
  Caffe::set_mode(Caffe::GPU);
  EXPECT_EQ(Reader<TypeParam>(text).Next(15), want);
}

}  // namespace
}  // namespace test
}  // namespace caffe
