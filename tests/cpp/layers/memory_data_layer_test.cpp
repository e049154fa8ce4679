#include "caffe/layers/memory_data_layer.hpp"

#include <opencv2/core.hpp>

#include "data/data_run.hpp"
#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr int kBatch = 4, kSize = 3 * 2 * 5;
const char kText[] =
    "type: 'MemoryData' memory_data_param { batch_size: 4 channels: 3 height: 2 width: 5 "
    "}";

template <typename T>
class MemoryDataLayerTest : public ::testing::Test {
 protected:
  MemoryDataLayer<T>* Memory(DataRun<T>* run) {
    return dynamic_cast<MemoryDataLayer<T>*>(run->layer());
  }

  /// Values and labels of `count` images.
  void Fill(int count) {
    data_.clear();
    labels_.clear();
    for (int i = 0; i < count * kSize; ++i)
      data_.push_back(static_cast<T>(Uniform(1, i)));
    for (int i = 0; i < count; ++i) labels_.push_back(static_cast<T>(i));
  }

  std::vector<T> data_, labels_;
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(MemoryDataLayerTest, Types);

TYPED_TEST(MemoryDataLayerTest, DeliversAnArrayRoundAndRound) {
  DataRun<TypeParam> run(kText);
  EXPECT_EQ(run.top(0)->shape(), (std::vector<int>{kBatch, 3, 2, 5}));
  EXPECT_EQ(run.top(1)->shape(), (std::vector<int>{kBatch}));
  this->Fill(3 * kBatch);
  this->Memory(&run)->Reset(this->data_.data(), this->labels_.data(), 3 * kBatch);
  for (int batch = 0; batch < 7; ++batch) {
    const DeliveredBatch got = run.Next();
    const int first = batch % 3 * kBatch;
    for (int i = 0; i < kBatch; ++i) EXPECT_EQ(got.labels[i], first + i);
    for (int i = 0; i < kBatch * kSize; ++i) {
      ASSERT_EQ(got.images[i], this->data_[first * kSize + i]);
    }
  }
}

TYPED_TEST(MemoryDataLayerTest, LeavesTheArrayAloneWhenTheTopIsChanged) {
  DataRun<TypeParam> run(kText);
  this->Fill(kBatch);
  const std::vector<TypeParam> before = this->data_;
  this->Memory(&run)->Reset(this->data_.data(), this->labels_.data(), kBatch);
  run.Next();
  run.top(0)->mutable_cpu_data()[0] += 1;
  EXPECT_EQ(this->data_, before);
}

TYPED_TEST(MemoryDataLayerTest, TakesAnotherBatchSize) {
  DataRun<TypeParam> run(kText);
  this->Fill(6);
  this->Memory(&run)->set_batch_size(3);
  this->Memory(&run)->Reset(this->data_.data(), this->labels_.data(), 6);
  EXPECT_EQ(run.Next().labels, (std::vector<double>{0, 1, 2}));
  const DeliveredBatch second = run.Next();
  EXPECT_EQ(second.labels, (std::vector<double>{3, 4, 5}));
  EXPECT_EQ(second.shape, (std::vector<int>{3, 3, 2, 5}));
  EXPECT_EQ(this->Memory(&run)->batch_size(), 3);
}

TYPED_TEST(MemoryDataLayerTest, TransformsDatumsThatAreAdded) {
  DataRun<TypeParam> run(std::string(kText) +
                         " transform_param { scale: 0.5 mean_value: 10 }");
  std::vector<Datum> datums;
  std::vector<double> want;
  for (int i = 0; i < 2 * kBatch; ++i) {
    datums.push_back(RawDatum(i, 3, 2, 5, 10 + i));
    for (const char byte : datums.back().data()) {
      want.push_back((static_cast<uchar>(byte) - 10) * 0.5);
    }
  }
  this->Memory(&run)->AddDatumVector(datums);
  for (int batch = 0; batch < 2; ++batch) {
    const DeliveredBatch got = run.Next();
    EXPECT_EQ(got.labels[0], 10 + batch * kBatch);
    ExpectClose(got.images,
                {want.begin() + batch * kBatch * kSize,
                 want.begin() + (batch + 1) * kBatch * kSize},
                ToleranceOf<TypeParam>(OpKind::kElementwise), "images");
  }
  // Now all are used and more may come.
  this->Memory(&run)->AddDatumVector({datums.begin() + 4, datums.end()});
  EXPECT_EQ(run.Next().labels, (std::vector<double>{14, 15, 16, 17}));
}

TYPED_TEST(MemoryDataLayerTest, TransformsImagesThatAreAdded) {
  DataRun<TypeParam> run(kText);
  std::vector<cv::Mat> images;
  for (int i = 0; i < kBatch; ++i) {
    images.emplace_back(2, 5, CV_8UC3, cv::Scalar(i, 20 + i, 40 + i));
  }
  this->Memory(&run)->AddMatVector(images, {7, 8, 9, 10});
  const DeliveredBatch got = run.Next();
  EXPECT_EQ(got.labels, (std::vector<double>{7, 8, 9, 10}));
  for (int i = 0; i < kBatch * kSize; ++i) {
    EXPECT_EQ(got.images[i], i / kSize + i / 10 % 3 * 20);
  }
}

TYPED_TEST(MemoryDataLayerTest, SaysWhatIsWrong) {
  DataRun<TypeParam> run(kText);
  auto* memory = this->Memory(&run);
  ExpectError(ErrorKind::kValue, {"no data yet", "Reset"}, [&] { run.Next(); });
  this->Fill(6);
  ExpectError(ErrorKind::kValue, {"6 image(s)", "batch size 4"},
              [&] { memory->Reset(this->data_.data(), this->labels_.data(), 6); });
  ExpectError(ErrorKind::kValue, {"3 image(s)", "batch size 4"}, [&] {
    memory->AddDatumVector(std::vector<Datum>(3, RawDatum(1, 3, 2, 5, 0)));
  });
  const std::vector<cv::Mat> images(4, cv::Mat(2, 5, CV_8UC3, cv::Scalar(0)));
  ExpectError(ErrorKind::kValue, {"2 label(s)", "4"},
              [&] { memory->AddMatVector(images, {1, 2}); });
  ExpectError(ErrorKind::kValue, {"5 x 3"}, [&] {
    memory->AddMatVector(std::vector<cv::Mat>(4, cv::Mat(3, 5, CV_8UC3)), {1, 2, 3, 4});
  });
  memory->AddMatVector(images, {1, 2, 3, 4});
  ExpectError(ErrorKind::kValue, {"before those of the last time"},
              [&] { memory->AddMatVector(images, {1, 2, 3, 4}); });
  ExpectError(ErrorKind::kValue, {"Forward"}, [&] { memory->set_batch_size(2); });
  ExpectError(ErrorKind::kValue, {"width 0"}, [] {
    DataRun<TypeParam> wrong(
        "type: 'MemoryData' memory_data_param { batch_size: 4 channels: 3 height: 2 }");
  });
}

}  // namespace
}  // namespace test
}  // namespace caffe
