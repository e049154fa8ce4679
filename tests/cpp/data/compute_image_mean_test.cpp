#include "caffe/data/compute_image_mean.hpp"

#include "caffe/blob.hpp"
#include "caffe/util/io.hpp"
#include "data/data_test.hpp"
#include "tolerance.hpp"

namespace caffe {
namespace test {
namespace {

class ComputeImageMeanTest : public ::testing::Test {
 protected:
  ComputeImageMeanTest() {
    options_.database = folder_ / "db";
    options_.output_file = folder_ / "mean.binaryproto";
  }

  std::vector<double> Written(std::vector<int>* shape) {
    BlobProto proto;
    ReadProtoFromBinaryFileOrDie(options_.output_file, &proto);
    Blob<double> blob;
    blob.FromProto(proto);
    *shape = blob.shape();
    return Values(blob);
  }

  TemporaryFolder folder_;
  ComputeImageMeanOptions options_;
};

TEST_F(ComputeImageMeanTest, AveragesRawImages) {
  const int count = 25, size = 3 * 4 * 5;
  std::vector<Datum> datums;
  std::vector<double> want(size, 0), channels(3, 0);
  for (int i = 0; i < count; ++i) {
    datums.push_back(RawDatum(i, 3, 4, 5, i));
    if (i % 5 == 0) {  // the same as values
      for (const char byte : datums[i].data()) {
        datums[i].add_float_data(static_cast<unsigned char>(byte));
      }
      datums[i].clear_data();
    }
    for (int j = 0; j < size; ++j) {
      const double value = Bits(i, j) % 256;
      want[j] += value / count;
      channels[j / 20] += value / count / 20;
    }
  }
  WriteDatums(options_.database, datums);
  for (const int threads : {1, 3}) {
    options_.threads = threads;
    const ComputeImageMeanResult result = ComputeImageMean(options_);
    EXPECT_EQ(result.images, 25u);
    EXPECT_EQ(result.channels, 3);
    EXPECT_EQ(result.height, 4);
    EXPECT_EQ(result.width, 5);
    ExpectClose(result.channel_means, channels,
                ToleranceOf<double>(OpKind::kReduction, count * 20), "channel means");
    std::vector<int> shape;
    ExpectClose(Written(&shape), want, ToleranceOf<float>(OpKind::kReduction, count),
                "mean");
    EXPECT_EQ(shape, (std::vector<int>{1, 3, 4, 5}));
  }
}

TEST_F(ComputeImageMeanTest, DecodesEncodedImages) {
  WriteDatums(options_.database, {EncodedDatum(ImageBytes("colour.jpg"), 0),
                                  EncodedDatum(ImageBytes("png_inside.jpg"), 1)});
  ComputeImageMean(options_);
  std::vector<int> shape;
  const std::vector<double> mean = Written(&shape);
  const Pixels a = ReadPixels("colour.ppm"), b = ReadPixels("png_inside.ppm");
  std::vector<double> want;
  for (int c = 0; c < 3; ++c) {
    for (int h = 0; h < 36; ++h) {
      for (int w = 0; w < 48; ++w) want.push_back((a.At(c, h, w) + b.At(c, h, w)) / 2.);
    }
  }
  ExpectClose(mean, want, ToleranceOf<float>(OpKind::kCopy), "mean");
}

TEST_F(ComputeImageMeanTest, NamesTheKeyOfAnotherSize) {
  WriteDatums(options_.database, {RawDatum(0, 3, 4, 5, 0), RawDatum(1, 3, 4, 5, 0),
                                  RawDatum(2, 3, 5, 4, 0)});
  ExpectError(ErrorKind::kValue,
              {options_.database, "'00000002'", "3 x 5 x 4", "3 x 4 x 5", "mean_value"},
              [&] { ComputeImageMean(options_); });
  EXPECT_FALSE(std::filesystem::exists(options_.output_file));
}

TEST_F(ComputeImageMeanTest, NamesTheKeyOfABadImage) {
  Datum damaged = RawDatum(1, 3, 36, 48, 0);
  damaged.mutable_data()->push_back('x');
  WriteDatums(options_.database, {EncodedDatum(ImageBytes("colour.jpg"), 0), damaged,
                                  EncodedDatum(ImageBytes("truncated.jpg"), 0)});
  ExpectError(ErrorKind::kFile, {options_.database, "'00000001'", "5185 bytes"},
              [&] { ComputeImageMean(options_); });
  options_.skip_bad = true;
  const ComputeImageMeanResult result = ComputeImageMean(options_);
  EXPECT_EQ(result.images, 1u);
  ASSERT_EQ(result.rejected.size(), 2u);
  EXPECT_EQ(result.rejected[0].name, "00000001");
  EXPECT_EQ(result.rejected[1].name, "00000002");
  EXPECT_NE(result.rejected[1].reason.find("truncated"), std::string::npos);
}

TEST_F(ComputeImageMeanTest, SaysThatThereIsNothingToAverage) {
  WriteDatabase(options_.database, {});
  ExpectError(ErrorKind::kFile, {options_.database, "no image"},
              [&] { ComputeImageMean(options_); });
  options_.database = folder_ / "none";
  ExpectError(ErrorKind::kFile, {"none"}, [&] { ComputeImageMean(options_); });
}

TEST_F(ComputeImageMeanTest, TellsItsProgress) {
  std::vector<Datum> datums;
  for (int i = 0; i < 10; ++i) datums.push_back(RawDatum(i, 1, 2, 2, 0));
  WriteDatums(options_.database, datums);
  options_.output_file = "";
  std::uint64_t last = 0;
  ComputeImageMean(options_, [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(done, last + 1);
    EXPECT_EQ(total, 10u);
    last = done;
  });
  EXPECT_EQ(last, 10u);
}

}  // namespace
}  // namespace test
}  // namespace caffe
