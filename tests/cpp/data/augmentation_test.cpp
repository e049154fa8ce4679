#include "caffe/data/augmentation.hpp"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "caffe/data_transformer.hpp"
#include "caffe/util/rng.hpp"
#include "data/data_test.hpp"
#include "tolerance.hpp"
#include "util/temporary_folder.hpp"

namespace caffe {
namespace test {
namespace {

using testing::HasSubstr;

constexpr int kSamples = 20000;
// A wrong law of draws is told from chance with this many deviations.
constexpr double kSigmas = 4.5;

TransformationParameter Param(const std::string& text) {
  TransformationParameter param;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
  return param;
}

RandomDraws DrawsOf(Philox* rng) {
  return {[rng](int n) { return static_cast<int>((*rng)() % n); },
          [rng] { return (*rng)() / 4294967296.0; }};
}

// Kolmogorov and Smirnov's distance from the uniform law on [0, 1], times sqrt(n): its
// tail is 2 exp(-2 d²), so 2.2 is passed by chance once in 8,000 times.
double Distance(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  double distance = 0;
  const double n = static_cast<double>(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    distance = std::max({distance, values[i] - i / n, (i + 1) / n - values[i]});
  }
  return distance * std::sqrt(n);
}
constexpr double kDistance = 2.2;

// ----------------------------------------------------------------------------
// The laws of the draws

TEST(DrawCropTest, AreaAndAspectAreUniformWhereEveryCropFits) {
  // A quarter of the area at most, so that no aspect is too long; large, so that
  // rounding to pixels is small.
  RandomResizedCrop range;
  range.set_max_area(0.25f);
  range.set_min_area(0.05f);
  Philox rng(3, 5);
  const int height = 4000, width = 5000;
  std::vector<double> areas, aspects, rows, columns;
  for (int i = 0; i < kSamples; ++i) {
    const CropBox box = DrawCrop(range, height, width, DrawsOf(&rng));
    ASSERT_GE(box.top, 0);
    ASSERT_GE(box.left, 0);
    ASSERT_LE(box.top + box.height, height);
    ASSERT_LE(box.left + box.width, width);
    const double share = double(box.height) * box.width / height / width;
    areas.push_back((share - 0.05) / 0.2);
    const double aspect = std::log(double(box.width) / box.height);
    aspects.push_back((aspect / std::log(4.0 / 3) + 1) / 2);
    rows.push_back((box.top + 0.5) / (height - box.height + 1));
    columns.push_back((box.left + 0.5) / (width - box.width + 1));
  }
  EXPECT_LT(Distance(areas), kDistance);
  EXPECT_LT(Distance(aspects), kDistance);
  EXPECT_LT(Distance(rows), kDistance);
  EXPECT_LT(Distance(columns), kDistance);
  // Area and aspect know nothing of each other, nor row of column.
  const auto correlation = [](const std::vector<double>& a,
                              const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - 0.5) * (b[i] - 0.5);
    return 12 * sum / std::sqrt(static_cast<double>(a.size()));
  };
  EXPECT_LT(std::abs(correlation(areas, aspects)), kSigmas);
  EXPECT_LT(std::abs(correlation(rows, columns)), kSigmas);
}

// With SENet's ranges some draws do not fit; they are drawn again, all of them.
TEST(DrawCropTest, IsAsTheLawSaysNumberByNumber) {
  const RandomResizedCrop range;
  for (const auto& [height, width] : std::vector<std::pair<int, int>>{
           {375, 500}, {500, 333}, {40, 400}, {3, 2}, {1, 1}}) {
    Philox rng(9, 1), same(9, 1);
    int tries_seen = 0;
    for (int i = 0; i < 500; ++i) {
      const CropBox box = DrawCrop(range, height, width, DrawsOf(&rng));
      const auto uniform = [&] { return same() / 4294967296.0; };
      bool found = false;
      for (int tries = 0; tries < 10 && !found; ++tries) {
        ++tries_seen;
        const double area = (0.08f + (1.0f - double(0.08f)) * uniform()) * height * width;
        const double low = std::log(double(0.75f)), high = std::log(double(1.333333333f));
        const double aspect = std::exp(low + (high - low) * uniform());
        const long w = std::lround(std::sqrt(area * aspect));
        const long h = std::lround(std::sqrt(area / aspect));
        if (w < 1 || h < 1 || w > width || h > height) continue;
        found = true;
        EXPECT_EQ(box.width, w);
        EXPECT_EQ(box.height, h);
        EXPECT_EQ(box.top, static_cast<int>(same() % (height - h + 1)));
        EXPECT_EQ(box.left, static_cast<int>(same() % (width - w + 1)));
      }
      if (found) continue;
      // The largest centred one of an allowed aspect.
      const int w = height == 40 ? 53 : width, h = height;
      EXPECT_EQ(box.width, std::min(w, width));
      EXPECT_EQ(box.height, height == 3 ? 3 : h);
      EXPECT_EQ(box.left, (width - box.width) / 2);
      EXPECT_EQ(box.top, (height - box.height) / 2);
    }
    EXPECT_GT(tries_seen, 500);
    EXPECT_TRUE(rng == same) << "another number of draws";
  }
}

TEST(ResizedToShortTest, KeepsTheAspectToTheNearestPixel) {
  const auto size = [](int side, int height, int width) {
    const CropBox box = ResizedToShort(side, height, width);
    return std::vector<int>{box.height, box.width};
  };
  EXPECT_EQ(size(256, 375, 500), (std::vector<int>{256, 341}));
  EXPECT_EQ(size(256, 500, 375), (std::vector<int>{341, 256}));
  EXPECT_EQ(size(256, 256, 256), (std::vector<int>{256, 256}));
  EXPECT_EQ(size(5, 3, 4), (std::vector<int>{5, 7}));  // 6.67
  EXPECT_EQ(size(7, 1, 1), (std::vector<int>{7, 7}));
  EXPECT_THROW(ResizedToShort(1 << 20, 1, 1 << 20), ValueError);
}

// ----------------------------------------------------------------------------
// Pixels

constexpr int kHeight = 13, kWidth = 17;

double LevelAt(int image, int c, int h, int w) {
  return Bits(image, (c * kHeight + h) * kWidth + w) % 256;
}

cv::Mat Image(int image, int channels) {
  cv::Mat mat(kHeight, kWidth, CV_8UC(channels));
  for (int h = 0; h < kHeight; ++h) {
    for (int w = 0; w < kWidth; ++w) {
      for (int c = 0; c < channels; ++c) {
        mat.ptr<uchar>(h)[w * channels + c] = static_cast<uchar>(LevelAt(image, c, h, w));
      }
    }
  }
  return mat;
}

Datum RawDatum(int image, int channels, bool floats) {
  Datum datum;
  datum.set_channels(channels);
  datum.set_height(kHeight);
  datum.set_width(kWidth);
  for (int c = 0; c < channels; ++c) {
    for (int h = 0; h < kHeight; ++h) {
      for (int w = 0; w < kWidth; ++w) {
        const double level = LevelAt(image, c, h, w);
        if (floats) {
          datum.add_float_data(static_cast<float>(level));
        } else {
          datum.mutable_data()->push_back(static_cast<char>(level));
        }
      }
    }
  }
  return datum;
}

// The image between its pixels, edges repeated outside of the box.
double Between(int image, int c, double y, double x, const CropBox& box) {
  y = std::min(std::max(y, double(box.top)), double(box.top + box.height - 1));
  x = std::min(std::max(x, double(box.left)), double(box.left + box.width - 1));
  const int h = std::min(int(y), kHeight - 2), w = std::min(int(x), kWidth - 2);
  double sum = 0;
  for (int dy : {0, 1}) {
    for (int dx : {0, 1}) {
      const double weight = (dy ? y - h : 1 - (y - h)) * (dx ? x - w : 1 - (x - w));
      if (weight != 0) sum += weight * LevelAt(image, c, h + dy, w + dx);
    }
  }
  return sum;
}

// The whole transformation of TRAIN as the schema words it, drawing from `rng`.
std::vector<double> Expected(const TransformationParameter& param, int image,
                             int channels, Philox* rng) {
  const auto uniform = [&] { return (*rng)() / 4294967296.0; };
  const bool mirror = param.mirror() && (*rng)() % 2;
  int size = static_cast<int>(param.crop_size()), out_h = size, out_w = size;
  CropBox box{0, 0, kHeight, kWidth};  // what may be read
  double top = 0, left = 0, step_y = 1, step_x = 1;
  if (param.has_random_resized_crop()) {
    box = DrawCrop(param.random_resized_crop(), kHeight, kWidth, DrawsOf(rng));
    step_y = double(box.height) / size;
    step_x = double(box.width) / size;
    top = box.top;
    left = box.left;
  } else {
    int h = kHeight, w = kWidth;
    if (param.resize_short()) {
      h = static_cast<int>(param.resize_short());
      w = static_cast<int>(std::lround(double(kWidth) * h / kHeight));
    }
    step_y = double(kHeight) / h;
    step_x = double(kWidth) / w;
    if (size) {
      top = ((*rng)() % (h - size + 1)) * step_y;
      left = ((*rng)() % (w - size + 1)) * step_x;
    } else {
      out_h = h;
      out_w = w;
    }
  }
  const double angle = param.max_rotation() > 0
                           ? param.max_rotation() * (2 * uniform() - 1) * M_PI / 180
                           : 0;
  std::vector<double> out;
  for (int c = 0; c < channels; ++c) {
    const double mean = param.mean_value_size() == 0   ? 0
                        : param.mean_value_size() == 1 ? param.mean_value(0)
                                                       : param.mean_value(c);
    const double jitter =
        param.max_jitter() > 0 ? param.max_jitter() * (2 * uniform() - 1) : 0;
    for (int i = 0; i < out_h; ++i) {
      for (int j = 0; j < out_w; ++j) {
        // Turned counter-clockwise: what is at angle a was at a - angle, and the rows
        // of an image run down.
        const double dx = j + 0.5 - out_w / 2.0, dy = out_h / 2.0 - (i + 0.5);
        double u = dx * std::cos(-angle) - dy * std::sin(-angle) + out_w / 2.0;
        const double v = out_h / 2.0 - (dx * std::sin(-angle) + dy * std::cos(-angle));
        double level = mean;
        if (angle == 0 || (u >= 0 && u <= out_w && v >= 0 && v <= out_h)) {
          if (mirror) u = out_w - u;
          level = Between(image, c, top + v * step_y - 0.5, left + u * step_x - 0.5, box);
        }
        out.push_back((level + jitter - mean) * param.scale());
      }
    }
  }
  return out;
}

class AugmentationTest : public testing::TestWithParam<const char*> {};

TEST_P(AugmentationTest, PixelsAreThoseOfTheLaw) {
  const TransformationParameter param = Param(GetParam());
  const DataTransformer<float> transformer(param, TRAIN);
  const DataTransformer<double> in_double(param, TRAIN);
  for (int image = 0; image < 40; ++image) {
    for (const int channels : {1, 3}) {
      if (param.mean_value_size() > 1 && channels == 1) continue;
      SCOPED_TRACE(Str("image ", image, ", ", channels, " channels"));
      Philox reference(77, image);
      const auto want = Expected(param, image, channels, &reference);
      std::vector<int> shape = {1, channels, static_cast<int>(param.crop_size()),
                                static_cast<int>(param.crop_size())};
      if (shape[2] == 0) {
        DataTransformer<float> shaping(param, TRAIN);
        shape = shaping.InferBlobShape(Image(image, channels));
      }
      const auto check = [&](const auto& source, const std::string& what) {
        SCOPED_TRACE(what);
        Philox rng(77, image);
        std::vector<float> got(want.size(), NAN);
        transformer.Transform(source, shape, &rng, got.data());
        // Levels up to 255, mixed of four.
        ExpectClose({got.begin(), got.end()}, want,
                    ToleranceOf<float>(OpKind::kReduction, 4), what);
        EXPECT_TRUE(rng == reference) << "another number of draws";
        rng = Philox(77, image);
        std::vector<double> exact(want.size(), NAN);
        in_double.Transform(source, shape, &rng, exact.data());
        ExpectClose(exact, want, ToleranceOf<double>(OpKind::kReduction, 1 << 12), what);
      };
      check(Image(image, channels), "image");
      check(RawDatum(image, channels, false), "bytes");
      check(RawDatum(image, channels, true), "floats");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    , AugmentationTest,
    testing::Values(
        "crop_size: 8 random_resized_crop { }",
        "crop_size: 30 mirror: true random_resized_crop { }",
        "crop_size: 5 random_resized_crop { min_area: 1 min_aspect: 0.5 max_aspect: 2 }",
        "resize_short: 20", "resize_short: 6 mirror: true",
        "resize_short: 13 crop_size: 9",
        "resize_short: 20 crop_size: 16 mirror: true scale: 0.5 mean_value: 100",
        "crop_size: 9 max_rotation: 10", "max_rotation: 180 mean_value: 50",
        "crop_size: 9 max_jitter: 20 mirror: true",
        "crop_size: 12 mirror: true random_resized_crop { } max_rotation: 10 max_jitter: "
        "20 "
        "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.017",
        "resize_short: 22 crop_size: 11 max_rotation: 45 mirror: true max_jitter: 3"));

TEST(AugmentationLawTest, MirrorAngleAndJitterAreUniform) {
  // A ramp along x and a constant: what is seen of them tells what was drawn.
  cv::Mat image(64, 64, CV_8UC3);
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 64; ++x) image.at<cv::Vec3b>(y, x) = cv::Vec3b(x, y, 128);
  }
  const auto param = Param("crop_size: 64 mirror: true max_rotation: 10 max_jitter: 20");
  const DataTransformer<double> transformer(param, TRAIN);
  const std::vector<int> shape = {1, 3, 64, 64};
  std::vector<double> out(3 * 64 * 64), angles, jitters;
  int mirrored = 0;
  constexpr int kImages = 3000;
  const auto at = [&](int c, int y, int x) { return out[(c * 64 + y) * 64 + x]; };
  for (int i = 0; i < kImages; ++i) {
    Philox rng(1, i);
    transformer.Transform(image, shape, &rng, out.data());
    // Gradients of the two ramps over the middle.
    const double xx = (at(0, 32, 40) - at(0, 32, 24)) / 16;
    const double yx = (at(1, 32, 40) - at(1, 32, 24)) / 16;
    mirrored += xx < 0;
    angles.push_back((std::asin(yx) * 180 / M_PI + 10) / 20);
    jitters.push_back((at(2, 32, 32) - 128 + 20) / 40);
  }
  EXPECT_LT(std::abs(mirrored - kImages / 2.0), kSigmas * std::sqrt(kImages / 4.0));
  EXPECT_LT(Distance(angles), kDistance);
  EXPECT_LT(Distance(jitters), kDistance);
}

TEST(AugmentationLawTest, PositiveAnglesAreCounterClockwise) {
  // The right half is white; turned counter-clockwise by 90 degrees, the upper one.
  cv::Mat image = cv::Mat::zeros(8, 8, CV_8UC1);
  image.colRange(4, 8).setTo(255);
  Warp warp;
  warp.height = warp.width = 8;
  warp.rows = warp.columns = Axis::Shifted(0, 8);
  warp.degrees = 90;
  std::vector<double> out(64);
  Sample(ImageView<uchar>{image.data, 1, 8, 8, 1, 8, 1}, warp, std::vector<double>{-1},
         out.data());
  EXPECT_NEAR(out[0 * 8 + 4], 255, 1e-9);
  EXPECT_NEAR(out[7 * 8 + 4], 0, 1e-9);
}

// Resizing is OpenCV's, whose results are rounded to whole levels from coefficients of
// 11 bits.
TEST(AugmentationLawTest, ResizingIsOpenCvsBilinear) {
  for (const int side : {7, 13, 20, 26}) {
    const cv::Mat image = Image(3, 3);
    DataTransformer<float> transformer(Param(Str("resize_short: ", side)), TEST);
    const std::vector<int> shape = transformer.InferBlobShape(image);
    cv::Mat resized;
    cv::resize(image, resized, cv::Size(shape[3], shape[2]), 0, 0, cv::INTER_LINEAR);
    std::vector<float> got(3 * shape[2] * shape[3]);
    transformer.Transform(image, shape, nullptr, got.data());
    for (int c = 0; c < 3; ++c) {
      for (int y = 0; y < shape[2]; ++y) {
        for (int x = 0; x < shape[3]; ++x) {
          EXPECT_NEAR(got[(c * shape[2] + y) * shape[3] + x],
                      resized.at<cv::Vec3b>(y, x)[c], 1.0);
        }
      }
    }
  }
}

TEST(AugmentationLawTest, TestTakesTheCentreOfTheResizedImage) {
  const auto param = Param(
      "resize_short: 26 crop_size: 20 random_resized_crop { } max_rotation: 10 "
      "max_jitter: 9");
  DataTransformer<double> transformer(param, TEST);
  EXPECT_FALSE(transformer.NeedsRand());
  const std::vector<int> shape = transformer.InferBlobShape(Image(1, 1));
  ASSERT_EQ(shape, (std::vector<int>{1, 1, 20, 20}));
  std::vector<double> got(400), want;
  transformer.Transform(Image(1, 1), shape, nullptr, got.data());
  const CropBox all{0, 0, kHeight, kWidth};
  for (int i = 3; i < 23; ++i) {
    for (int j = 7; j < 27; ++j) {  // of 26 x 34
      want.push_back(Between(1, 0, (i + 0.5) / 2 - 0.5, (j + 0.5) / 2 - 0.5, all));
    }
  }
  ExpectClose(got, want, ToleranceOf<double>(OpKind::kReduction, 4), "centre");
}

TEST(AugmentationLawTest, ImagesOfOnePixel) {
  cv::Mat image(1, 1, CV_8UC3, cv::Scalar(10, 20, 30));
  const auto param =
      Param("crop_size: 4 random_resized_crop { } max_rotation: 10 mean_value: 20");
  const DataTransformer<float> transformer(param, TRAIN);
  for (int i = 0; i < 50; ++i) {
    Philox rng(5, i);
    std::vector<float> got(48);
    transformer.Transform(image, {1, 3, 4, 4}, &rng, got.data());
    EXPECT_EQ(got[5], -10);  // in the middle
    EXPECT_EQ(got[16 + 5], 0);
    EXPECT_EQ(got[32 + 5], 10);
  }
}

TEST(AugmentationLawTest, DrawsByTheTransformersOwnGenerator) {
  Caffe::set_random_seed(4);
  DataTransformer<float> transformer(
      Param("crop_size: 6 mirror: true random_resized_crop { } max_jitter: 5"), TRAIN);
  transformer.InitRand();
  Blob<float> first(1, 3, 6, 6), second(1, 3, 6, 6);
  transformer.Transform(Image(0, 3), &first);
  transformer.Transform(Image(0, 3), &second);
  EXPECT_FALSE(
      std::equal(first.cpu_data(), first.cpu_data() + first.count(), second.cpu_data()));
}

// The stream of a sample has room for so many numbers and no more.
TEST(AugmentationLawTest, DrawsNoMoreThanItsShare) {
  std::uint64_t most = 0;
  // Of crops of nearly the whole image one in six fits.
  const DataTransformer<float> transformer(
      Param("crop_size: 4 mirror: true max_rotation: 5 max_jitter: 1 random_resized_crop "
            "{ min_area: 0.9 min_aspect: 0.5 max_aspect: 2 }"),
      TRAIN);
  std::vector<float> out(kMaxJitteredChannels * 4 * 4);
  for (int i = 0; i < 2000; ++i) {
    Philox rng(6, i);
    transformer.Transform(RawDatum(0, kMaxJitteredChannels, false),
                          {1, kMaxJitteredChannels, 4, 4}, &rng, out.data());
    most = std::max(most, rng.counter());
  }
  // With a crop at the tenth try; without any there is no row and no column.
  EXPECT_EQ(most, std::uint64_t{kMaxDraws});
}

// ----------------------------------------------------------------------------
// Parameters

TEST(AugmentationParameterTest, WrongOnesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"random_resized_crop { }", "needs crop_size"},
      {"crop_size: 4 random_resized_crop { min_area: 0 }", "area from 0"},
      {"crop_size: 4 random_resized_crop { max_area: 1.5 }", "to 1.5"},
      {"crop_size: 4 random_resized_crop { min_area: 0.5 max_area: 0.4 }",
       "from 0.5 to 0.4"},
      {"crop_size: 4 random_resized_crop { min_area: nan }", "area from nan"},
      {"crop_size: 4 random_resized_crop { min_aspect: 0 }", "aspect from 0"},
      {"crop_size: 4 random_resized_crop { min_aspect: 3 }", "aspect from 3"},
      {"crop_size: 4 random_resized_crop { max_aspect: inf }", "to inf"},
      {"max_rotation: -1", "max_rotation is -1"},
      {"max_rotation: 181", "expected 0 to 180"},
      {"max_rotation: nan", "max_rotation is nan"},
      {"max_jitter: -2", "max_jitter is -2"},
      {"max_jitter: inf", "max_jitter is inf"},
      {"crop_size: 9 resize_short: 8", "crop_size of 9 does not fit"},
      {"resize_short: 8 mean_file: 'm'", "resize_short moves the places; use mean_value"},
      {"crop_size: 4 random_resized_crop { } mean_file: 'm'",
       "random_resized_crop moves"},
      {"max_rotation: 5 mean_file: 'm'", "max_rotation moves"},
  };
  for (const auto& [text, message] : cases) {
    for (const Phase phase : {TRAIN, TEST}) {
      EXPECT_THAT(MessageOf<ValueError>(
                      [&] { DataTransformer<float> transformer(Param(text), phase); }),
                  HasSubstr(message))
          << text;
    }
  }
}

TEST(AugmentationParameterTest, ImagesThatDoNotFitNameTheCure) {
  DataTransformer<float> plain(Param("crop_size: 14"), TRAIN);
  EXPECT_THAT(MessageOf<ValueError>([&] { plain.InferBlobShape(Image(0, 3)); }),
              HasSubstr("resize_short"));
  DataTransformer<float> resizing(Param("crop_size: 14 resize_short: 14"), TRAIN);
  EXPECT_EQ(resizing.InferBlobShape(Image(0, 3)), (std::vector<int>{1, 3, 14, 14}));
  DataTransformer<float> drawing(Param("crop_size: 14 random_resized_crop { }"), TRAIN);
  EXPECT_EQ(drawing.InferBlobShape(Image(0, 3)), (std::vector<int>{1, 3, 14, 14}));
  DataTransformer<float> jitter(Param("max_jitter: 1"), TRAIN);
  std::vector<float> out(40 * kHeight * kWidth);
  Philox rng;
  EXPECT_THAT(MessageOf<ValueError>([&] {
                jitter.Transform(RawDatum(0, 40, false), {1, 40, kHeight, kWidth}, &rng,
                                 out.data());
              }),
              HasSubstr("up to 32 channels, this one has 40"));
}

}  // namespace
}  // namespace test
}  // namespace caffe
