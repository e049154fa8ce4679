#include "caffe/data_transformer.hpp"

#include <google/protobuf/text_format.h>

#include <opencv2/core.hpp>
#include <set>

#include "caffe/util/image_io.hpp"
#include "caffe/util/io.hpp"
#include "data/data_test.hpp"
#include "tolerance.hpp"

namespace caffe {
namespace test {
namespace {

constexpr int kHeight = 7, kWidth = 9;

TransformationParameter Param(const std::string& text) {
  TransformationParameter param;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
  return param;
}

/// Pixel (c, h, w) of the test image `image`.
int PixelAt(int image, int c, int h, int w) {
  return static_cast<int>(Bits(image, (c * kHeight + h) * kWidth + w) % 256);
}

Datum ByteDatum(int image, int channels) {
  Datum datum;
  datum.set_channels(channels);
  datum.set_height(kHeight);
  datum.set_width(kWidth);
  for (int c = 0; c < channels; ++c) {
    for (int h = 0; h < kHeight; ++h) {
      for (int w = 0; w < kWidth; ++w) {
        datum.mutable_data()->push_back(static_cast<char>(PixelAt(image, c, h, w)));
      }
    }
  }
  return datum;
}

Datum FloatDatum(int image, int channels) {
  Datum datum = ByteDatum(image, channels);
  for (const char byte : datum.data())
    datum.add_float_data(static_cast<unsigned char>(byte));
  datum.clear_data();
  return datum;
}

cv::Mat Image(int image, int channels) {
  cv::Mat mat(kHeight, kWidth, CV_8UC(channels));
  for (int h = 0; h < kHeight; ++h) {
    for (int w = 0; w < kWidth; ++w) {
      for (int c = 0; c < channels; ++c) {
        mat.ptr<uchar>(h)[w * channels + c] = static_cast<uchar>(PixelAt(image, c, h, w));
      }
    }
  }
  return mat;
}

/// The definition: mean by place or channel, crop, mirror, scale.
struct Reference {
  int channels = 3;
  int crop = 0;  // 0: none
  int h_off = 0, w_off = 0;
  bool mirror = false;
  double scale = 1;
  std::vector<double> means;       // per channel
  std::vector<double> mean_image;  // instead

  std::vector<double> operator()(int image) const {
    const int height = crop ? crop : kHeight;
    const int width = crop ? crop : kWidth;
    std::vector<double> out;
    for (int c = 0; c < channels; ++c) {
      for (int h = 0; h < height; ++h) {
        for (int w = 0; w < width; ++w) {
          const int row = h + h_off;
          const int column = (mirror ? width - 1 - w : w) + w_off;
          double mean = means.empty() ? 0 : means[c];
          if (!mean_image.empty())
            mean = mean_image[(c * kHeight + row) * kWidth + column];
          out.push_back((PixelAt(image, c, row, column) - mean) * scale);
        }
      }
    }
    return out;
  }
};

template <typename T>
class DataTransformerTest : public ::testing::Test {
 protected:
  /// Transforms image 1 as bytes, as floats and as a cv::Mat; all must agree with
  /// what the reference gives.
  void ExpectAllForms(const std::string& text, Phase phase, const Reference& reference) {
    SCOPED_TRACE(text + (phase == TRAIN ? " TRAIN" : " TEST"));
    const std::vector<double> want = reference(1);
    const Tolerance tolerance = ToleranceOf<T>(OpKind::kElementwise);
    DataTransformer<T> transformer(Param(text), phase);
    transformer.InitRand();
    const int channels = reference.channels;
    const Datum bytes = ByteDatum(1, channels), floats = FloatDatum(1, channels);
    const cv::Mat mat = Image(1, channels);
    Blob<T> blob(transformer.InferBlobShape(bytes));
    EXPECT_EQ(transformer.InferBlobShape(floats), blob.shape());
    EXPECT_EQ(transformer.InferBlobShape(mat), blob.shape());
    FillNaN(&blob);
    transformer.Transform(bytes, &blob);
    ExpectClose(Values(blob), want, tolerance, "bytes");
    FillNaN(&blob);
    transformer.Transform(floats, &blob);
    ExpectClose(Values(blob), want, tolerance, "floats");
    FillNaN(&blob);
    transformer.Transform(mat, &blob);
    ExpectClose(Values(blob), want, tolerance, "cv::Mat");
    Blob<T> input(1, channels, kHeight, kWidth), output;
    FillWith(&input, Half::kData, [&](int i) {
      return PixelAt(1, i / (kHeight * kWidth), i / kWidth % kHeight, i % kWidth);
    });
    const std::vector<double> before = Values(input);
    transformer.Transform(&input, &output);
    ExpectClose(Values(output), want, tolerance, "blob");
    EXPECT_EQ(Values(input), before) << "the input stays";
  }

  TemporaryFolder folder_;
};

typedef ::testing::Types<float, double> Types;
TYPED_TEST_SUITE(DataTransformerTest, Types);

TYPED_TEST(DataTransformerTest, CopiesWithoutParameters) {
  for (const int channels : {1, 2, 3, 4, 5}) {
    Reference reference;
    reference.channels = channels;
    this->ExpectAllForms("", TRAIN, reference);
    this->ExpectAllForms("", TEST, reference);
  }
}

TYPED_TEST(DataTransformerTest, SubtractsTheMeanThenScales) {
  Reference reference;
  reference.scale = 0.017f;  // as the field of the message holds it
  this->ExpectAllForms("scale: 0.017", TEST, reference);
  reference.means = {103.94f, 116.78f, 123.68f};
  this->ExpectAllForms(
      "scale: 0.017 mean_value: 103.94 mean_value: 116.78 mean_value: 123.68", TEST,
      reference);
  reference.means = {7, 7, 7};
  this->ExpectAllForms("scale: 0.017 mean_value: 7", TEST, reference);
}

TYPED_TEST(DataTransformerTest, CropsTheCentreInTest) {
  for (const int channels : {1, 3, 4}) {
    Reference reference;
    reference.channels = channels;
    reference.crop = 4;
    reference.h_off = 1;  // (7 - 4) / 2 and (9 - 4) / 2, rounded down
    reference.w_off = 2;
    this->ExpectAllForms("crop_size: 4", TEST, reference);
  }
  Reference whole_height;
  whole_height.crop = 7;
  whole_height.w_off = 1;
  this->ExpectAllForms("crop_size: 7", TEST, whole_height);
}

TYPED_TEST(DataTransformerTest, TakesTheMeanOfThePixelsPlace) {
  Reference reference;
  BlobProto mean;
  mean.set_num(1);
  mean.set_channels(3);
  mean.set_height(kHeight);
  mean.set_width(kWidth);
  for (int i = 0; i < 3 * kHeight * kWidth; ++i) {
    mean.add_data(static_cast<float>(Bits(9, i) % 1000) / 4);
    reference.mean_image.push_back(mean.data(i));
  }
  const std::string path = this->folder_ / "mean.binaryproto";
  WriteProtoToBinaryFile(mean, path);
  const std::string text = "mean_file: '" + path + "' ";
  this->ExpectAllForms(text, TRAIN, reference);
  reference.crop = 4;
  reference.h_off = 1;
  reference.w_off = 2;
  reference.scale = 0.5;
  this->ExpectAllForms(text + "crop_size: 4 scale: 0.5", TEST, reference);
  // Mirrored, the mean is mirrored with the image. Draws until one is.
  reference.mirror = true;
  DataTransformer<TypeParam> transformer(
      Param(text + "crop_size: 4 scale: 0.5 mirror: true"), TEST);
  transformer.InitRand();
  Blob<TypeParam> blob(1, 3, 4, 4);
  const std::vector<double> want = reference(1);
  int mirrored = 0;
  for (int i = 0; i < 64; ++i) {
    transformer.Transform(Image(1, 3), &blob);
    mirrored += Values(blob) == want;
  }
  EXPECT_GT(mirrored, 0);
  EXPECT_LT(mirrored, 64);
}

/// Every crop and both mirrorings occur in TRAIN, and nothing else.
TYPED_TEST(DataTransformerTest, DrawsEveryCropAndMirroringInTrain) {
  for (const int channels : {1, 3, 4}) {
    std::map<std::vector<double>, int> seen;
    Reference reference;
    reference.channels = channels;
    reference.crop = 5;
    for (const bool mirror : {false, true}) {
      for (int h_off = 0; h_off <= kHeight - 5; ++h_off) {
        for (int w_off = 0; w_off <= kWidth - 5; ++w_off) {
          reference.mirror = mirror;
          reference.h_off = h_off;
          reference.w_off = w_off;
          seen[reference(1)] = 0;
        }
      }
    }
    const size_t expected = seen.size();
    ASSERT_EQ(expected, 2u * 3 * 5);
    Caffe::set_random_seed(1701);
    DataTransformer<TypeParam> transformer(Param("crop_size: 5 mirror: true"), TRAIN);
    transformer.InitRand();
    Blob<TypeParam> blob(1, channels, 5, 5);
    const Datum datum = ByteDatum(1, channels);
    const cv::Mat mat = Image(1, channels);
    const int draws = 3000;
    for (int i = 0; i < draws; ++i) {
      if (i % 2) {
        transformer.Transform(datum, &blob);
      } else {
        transformer.Transform(mat, &blob);
      }
      ++seen[Values(blob)];
    }
    EXPECT_EQ(seen.size(), expected) << "something else was drawn";
    for (const auto& [values, count] : seen) {
      EXPECT_GT(count, draws / static_cast<int>(expected) / 2);
      EXPECT_LT(count, draws / static_cast<int>(expected) * 2);
    }
  }
}

TYPED_TEST(DataTransformerTest, RepeatsItsDrawsWithTheSeed) {
  std::vector<std::vector<double>> runs[3];
  const unsigned seeds[] = {5, 5, 6};
  for (int run = 0; run < 3; ++run) {
    Caffe::set_random_seed(seeds[run]);
    DataTransformer<TypeParam> transformer(Param("crop_size: 3 mirror: true"), TRAIN);
    transformer.InitRand();
    Blob<TypeParam> blob(1, 3, 3, 3);
    for (int i = 0; i < 20; ++i) {
      transformer.Transform(Image(i, 3), &blob);
      runs[run].push_back(Values(blob));
    }
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_NE(runs[0], runs[2]);
}

TYPED_TEST(DataTransformerTest, TransformsSeveralImages) {
  std::vector<Datum> datums;
  std::vector<cv::Mat> mats;
  std::vector<double> want;
  Reference reference;
  reference.crop = 4;
  reference.h_off = 1;
  reference.w_off = 2;
  for (int i = 0; i < 3; ++i) {
    datums.push_back(ByteDatum(i, 3));
    mats.push_back(Image(i, 3));
    for (const double value : reference(i)) want.push_back(value);
  }
  DataTransformer<TypeParam> transformer(Param("crop_size: 4"), TEST);
  EXPECT_EQ(transformer.InferBlobShape(datums), (std::vector<int>{3, 3, 4, 4}));
  EXPECT_EQ(transformer.InferBlobShape(mats), (std::vector<int>{3, 3, 4, 4}));
  Blob<TypeParam> blob(3, 3, 4, 4);
  FillNaN(&blob);
  transformer.Transform(datums, &blob);
  ExpectClose(Values(blob), want, ToleranceOf<TypeParam>(OpKind::kCopy), "datums");
  FillNaN(&blob);
  transformer.Transform(mats, &blob);
  ExpectClose(Values(blob), want, ToleranceOf<TypeParam>(OpKind::kCopy), "mats");
  datums.pop_back();
  ExpectError(ErrorKind::kValue, {"2 images", "(3, 3, 4, 4)"},
              [&] { transformer.Transform(datums, &blob); });
}

TYPED_TEST(DataTransformerTest, DecodesEncodedImages) {
  const Datum colour = EncodedDatum(ImageBytes("colour.jpg"), 0);
  const Datum grey = EncodedDatum(ImageBytes("grey.jpg"), 0);
  struct Case {
    const char* text;
    int colour_channels, grey_channels;
  };
  for (const Case& c : {Case{"", 3, 1}, Case{"force_color: true", 3, 3},
                        Case{"force_gray: true", 1, 1}}) {
    DataTransformer<TypeParam> transformer(Param(c.text), TEST);
    EXPECT_EQ(transformer.InferBlobShape(colour),
              (std::vector<int>{1, c.colour_channels, 36, 48}));
    EXPECT_EQ(transformer.InferBlobShape(grey),
              (std::vector<int>{1, c.grey_channels, 36, 48}));
  }
  DataTransformer<TypeParam> transformer(Param(""), TEST);
  Blob<TypeParam> blob(transformer.InferBlobShape(colour));
  transformer.Transform(colour, &blob);
  const Pixels pixels = ReadPixels("colour.ppm");
  std::vector<double> want;
  for (int c = 0; c < 3; ++c) {
    for (int h = 0; h < pixels.height; ++h) {
      for (int w = 0; w < pixels.width; ++w) want.push_back(pixels.At(c, h, w));
    }
  }
  ExpectClose(Values(blob), want, ToleranceOf<TypeParam>(OpKind::kCopy), "decoded");
  ExpectError(ErrorKind::kFile, {"truncated"}, [&] {
    transformer.Transform(EncodedDatum(ImageBytes("truncated.jpg"), 0), &blob);
  });
}

TYPED_TEST(DataTransformerTest, NamesWhatDoesNotFit) {
  typedef DataTransformer<TypeParam> Transformer;
  const auto construct = [](const std::string& text) { Transformer(Param(text), TRAIN); };
  ExpectError(ErrorKind::kValue, {"mean_file", "mean_value"},
              [&] { construct("mean_file: 'm' mean_value: 1"); });
  ExpectError(ErrorKind::kValue, {"force_color", "force_gray"},
              [&] { construct("force_color: true force_gray: true"); });
  ExpectError(ErrorKind::kFile, {"no_such_mean"},
              [&] { construct("mean_file: 'no_such_mean'"); });
  Blob<TypeParam> blob(1, 3, 4, 4);
  const auto transform = [&](const std::string& text, const cv::Mat& image) {
    Transformer transformer(Param(text), TEST);
    transformer.InitRand();
    transformer.Transform(image, &blob);
  };
  ExpectError(ErrorKind::kValue, {"crop_size is 8", "9 x 7"},
              [&] { transform("crop_size: 8", Image(1, 3)); });
  ExpectError(ErrorKind::kValue, {"2 values of mean_value", "1 or 3"}, [&] {
    transform("crop_size: 4 mean_value: 1 mean_value: 2", Image(1, 3));
  });
  ExpectError(ErrorKind::kValue, {"1 channel(s)", "(1, 3, 4, 4)", "force_color"},
              [&] { transform("crop_size: 4", Image(1, 1)); });
  ExpectError(ErrorKind::kValue, {"9 x 7", "4 x 4", "crop_size"},
              [&] { transform("", Image(1, 3)); });
  ExpectError(ErrorKind::kValue, {"empty"}, [&] { transform("", cv::Mat()); });
  ExpectError(ErrorKind::kValue, {"8-bit"},
              [&] { transform("", cv::Mat(4, 4, CV_32FC3)); });
  Datum datum = ByteDatum(1, 3);
  datum.set_height(kHeight + 1);
  Transformer transformer(Param("crop_size: 4"), TEST);
  ExpectError(ErrorKind::kFile, {"189 bytes", "expected 216", "3 x 8 x 9"},
              [&] { transformer.Transform(datum, &blob); });
}

TYPED_TEST(DataTransformerTest, NamesTheMeanFileOfAnotherSize) {
  BlobProto mean;
  mean.set_num(1);
  mean.set_channels(3);
  mean.set_height(2);
  mean.set_width(2);
  for (int i = 0; i < 12; ++i) mean.add_data(1);
  const std::string path = this->folder_ / "mean.binaryproto";
  WriteProtoToBinaryFile(mean, path);
  DataTransformer<TypeParam> transformer(Param("mean_file: '" + path + "'"), TEST);
  Blob<TypeParam> blob(1, 3, kHeight, kWidth);
  ExpectError(ErrorKind::kValue, {path, "3 x 2 x 2", "3 x 7 x 9"},
              [&] { transformer.Transform(Image(1, 3), &blob); });
}

// What the data layers use: the draws come from the generator that is passed in.
TYPED_TEST(DataTransformerTest, DrawsOnlyFromTheGeneratorItIsGiven) {
  const DataTransformer<TypeParam> transformer(Param("crop_size: 3 mirror: true"), TRAIN);
  const std::vector<int> shape = {1, 3, 3, 3};
  const cv::Mat mat = Image(1, 3);
  std::set<std::vector<TypeParam>> seen;
  for (int sample = 0; sample < 20; ++sample) {
    std::vector<TypeParam> first(27), second(27);
    for (auto* out : {&first, &second}) {
      rng_t rng(11, 22);
      rng.Seek(64 * sample);
      transformer.Transform(mat, shape, &rng, out->data());
    }
    EXPECT_EQ(first, second);
    seen.insert(first);
  }
  EXPECT_GT(seen.size(), 10u);
}

}  // namespace
}  // namespace test
}  // namespace caffe
