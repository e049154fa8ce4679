#include "caffe/util/image_io.hpp"

#include <opencv2/imgcodecs.hpp>

#include "caffe/data/image_probe.hpp"
#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

constexpr int kWidth = 48, kHeight = 36;  // of all photographs in tests/data/images

void ExpectPixels(const cv::Mat& image, const Pixels& want) {
  ASSERT_EQ(image.rows, want.height);
  ASSERT_EQ(image.cols, want.width);
  ASSERT_EQ(image.channels(), want.channels);
  int wrong = 0;
  for (int h = 0; h < want.height; ++h) {
    for (int w = 0; w < want.width; ++w) {
      for (int c = 0; c < want.channels; ++c) {
        wrong += image.ptr<uchar>(h)[w * want.channels + c] != want.At(c, h, w);
      }
    }
  }
  EXPECT_EQ(wrong, 0) << "pixels that differ from what Pillow decodes";
}

// The .ppm and .pgm files are Pillow's decoding of the files beside them.
TEST(DecodeImageTest, AgreesWithAnotherDecoder) {
  ExpectPixels(DecodeImage(ImageBytes("colour.jpg"), ImageColors::kColor),
               ReadPixels("colour.ppm"));
  ExpectPixels(DecodeImage(ImageBytes("colour.jpg"), ImageColors::kAsStored),
               ReadPixels("colour.ppm"));
  ExpectPixels(DecodeImage(ImageBytes("grey.jpg"), ImageColors::kAsStored),
               ReadPixels("grey.pgm"));
  ExpectPixels(DecodeImage(ImageBytes("grey.jpg"), ImageColors::kGray),
               ReadPixels("grey.pgm"));
  ExpectPixels(DecodeImage(ImageBytes("colour.png"), ImageColors::kColor),
               ReadPixels("png_inside.ppm"));
}

TEST(DecodeImageTest, GoesByTheContentsNotTheName) {
  ExpectPixels(DecodeImage(ImageBytes("png_inside.jpg"), ImageColors::kColor),
               ReadPixels("png_inside.ppm"));
}

TEST(DecodeImageTest, IgnoresTheOrientationTag) {
  for (const auto colors : {ImageColors::kColor, ImageColors::kAsStored}) {
    ExpectPixels(DecodeImage(ImageBytes("rotated.jpg"), colors),
                 ReadPixels("colour.ppm"));
  }
  EXPECT_EQ(DecodeImage(ImageBytes("rotated.jpg"), ImageColors::kGray).cols, kWidth);
}

TEST(DecodeImageTest, AllowsJunkBehindTheEnd) {
  ExpectPixels(DecodeImage(ImageBytes("junk_behind.jpg"), ImageColors::kColor),
               ReadPixels("colour.ppm"));
}

TEST(DecodeImageTest, ReadsProgressiveJpegs) {
  const cv::Mat image = DecodeImage(ImageBytes("progressive.jpg"), ImageColors::kColor);
  // The same coefficients in another order.
  ExpectPixels(image, ReadPixels("colour.ppm"));
}

TEST(DecodeImageTest, TurnsCmykIntoColour) {
  for (const auto colors : {ImageColors::kColor, ImageColors::kAsStored}) {
    const cv::Mat image = DecodeImage(ImageBytes("cmyk.jpg"), colors);
    ASSERT_EQ(image.channels(), 3);
    // Red, green, blue, white, black, yellow patches of 16 pixels; blue-green-red.
    const int want[6][3] = {{0, 0, 1}, {0, 1, 0}, {1, 0, 0},
                            {1, 1, 1}, {0, 0, 0}, {0, 1, 1}};
    for (int patch = 0; patch < 6; ++patch) {
      const auto& pixel = image.at<cv::Vec3b>(8, 16 * patch + 8);
      for (int c = 0; c < 3; ++c) {
        EXPECT_EQ(pixel[c] >= 128, want[patch][c] == 1)
            << "patch " << patch << ", channel " << c << ": " << int{pixel[c]};
      }
    }
  }
}

TEST(DecodeImageTest, ConvertsBetweenChannels) {
  EXPECT_EQ(DecodeImage(ImageBytes("grey.png"), ImageColors::kColor).channels(), 3);
  EXPECT_EQ(DecodeImage(ImageBytes("grey.png"), ImageColors::kAsStored).channels(), 1);
  EXPECT_EQ(DecodeImage(ImageBytes("colour.png"), ImageColors::kGray).channels(), 1);
  EXPECT_EQ(DecodeImage(ImageBytes("alpha.png"), ImageColors::kColor).channels(), 3);
  EXPECT_EQ(DecodeImage(ImageBytes("alpha.png"), ImageColors::kAsStored).channels(), 4);
  EXPECT_EQ(DecodeImage(ImageBytes("deep.png"), ImageColors::kColor).depth(), CV_8U);
  ExpectError(ErrorKind::kFile, {"8 bits", "force_gray"},
              [] { DecodeImage(ImageBytes("deep.png"), ImageColors::kAsStored); });
}

TEST(DecodeImageTest, FindsTruncatedFilesOfAnyLength) {
  for (const char* name : {"colour.jpg", "progressive.jpg", "grey.jpg", "colour.png"}) {
    const std::string whole = ImageBytes(name);
    for (size_t size = 1; size < whole.size(); size += 7) {
      for (const auto colors : {ImageColors::kColor, ImageColors::kAsStored}) {
        EXPECT_THROW(DecodeImage(whole.substr(0, size), colors), FileError)
            << size << " of " << whole.size() << " bytes of " << name;
      }
    }
    EXPECT_NO_THROW(DecodeImage(whole, ImageColors::kColor));
  }
  ExpectError(ErrorKind::kFile, {"JPEG", "truncated", "884"},
              [] { DecodeImage(ImageBytes("truncated.jpg"), ImageColors::kColor); });
  ExpectError(ErrorKind::kFile, {"PNG", "truncated", "2096"},
              [] { DecodeImage(ImageBytes("truncated.png"), ImageColors::kColor); });
}

TEST(DecodeImageTest, RefusesWhatIsNoImage) {
  ExpectError(ErrorKind::kFile, {"no image", "18 bytes"},
              [] { DecodeImage(ImageBytes("text.jpg"), ImageColors::kColor); });
  ExpectError(ErrorKind::kFile, {"no bytes"},
              [] { DecodeImage(ImageBytes("empty.jpg"), ImageColors::kColor); });
  // All markers, no contents.
  ExpectError(ErrorKind::kFile, {"no image data"},
              [] { DecodeImage("\xff\xd8\xff\xd9", ImageColors::kColor); });
}

TEST(DecodeImageTest, RefusesImagesThatAnnounceTooMuch) {
  ExpectError(ErrorKind::kFile, {"JPEG", "65500 x 65500"},
              [] { DecodeImage(ImageBytes("huge.jpg"), ImageColors::kColor); });
  ExpectError(ErrorKind::kFile, {"PNG", "2147483647 x 2147483647"},
              [] { DecodeImage(ImageBytes("huge.png"), ImageColors::kColor); });
}

// Any bytes give an image or a FileError.
TEST(DecodeImageTest, SurvivesDamagedFiles) {
  for (const char* name : {"colour.jpg", "progressive.jpg", "cmyk.jpg", "colour.png"}) {
    const std::string whole = ImageBytes(name);
    for (int round = 0; round < 100; ++round) {
      std::string damaged = whole;
      for (int i = 0; i <= round % 5; ++i) {
        damaged[Bits(round, 2 * i) % damaged.size()] =
            static_cast<char>(Bits(round, 2 * i + 1));
      }
      try {
        EXPECT_FALSE(DecodeImage(damaged, ImageColors::kColor).empty());
      } catch (const FileError&) {
      }
    }
  }
}

TEST(ProbeImageTest, ReadsTheSizeWithoutDecoding) {
  for (const char* name :
       {"colour.jpg", "progressive.jpg", "rotated.jpg", "colour.png"}) {
    const ImageProbe probe = ProbeImage(ImageBytes(name));
    EXPECT_EQ(probe.width, static_cast<unsigned>(kWidth)) << name;
    EXPECT_EQ(probe.height, static_cast<unsigned>(kHeight)) << name;
    EXPECT_EQ(probe.problem, "") << name;
  }
  EXPECT_EQ(ProbeImage(ImageBytes("grey.jpg")).channels, 1);
  EXPECT_EQ(ProbeImage(ImageBytes("cmyk.jpg")).channels, 3);
  EXPECT_STREQ(ProbeImage(ImageBytes("text.jpg")).format, "");
}

void ExpectDatum(const Datum& datum, const Pixels& want, int label) {
  EXPECT_EQ(datum.label(), label);
  EXPECT_FALSE(datum.encoded());
  ASSERT_EQ(datum.channels(), want.channels);
  ASSERT_EQ(datum.height(), want.height);
  ASSERT_EQ(datum.width(), want.width);
  ASSERT_EQ(datum.data().size(), want.bytes.size());
  int wrong = 0, i = 0;
  for (int c = 0; c < want.channels; ++c) {
    for (int h = 0; h < want.height; ++h) {
      for (int w = 0; w < want.width; ++w) {
        wrong += static_cast<uchar>(datum.data()[i++]) != want.At(c, h, w);
      }
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(ReadImageToDatumTest, StoresPixelsByChannel) {
  Datum datum;
  ASSERT_TRUE(ReadImageToDatum(ImagePath("colour.jpg"), 7, &datum));
  ExpectDatum(datum, ReadPixels("colour.ppm"), 7);
  ASSERT_TRUE(ReadImageToDatum(ImagePath("grey.jpg"), 8, false, &datum));
  ExpectDatum(datum, ReadPixels("grey.pgm"), 8);
}

TEST(ReadImageToDatumTest, StoresAFileThatFitsByteByByte) {
  Datum datum;
  for (const char* name : {"colour.jpg", "png_inside.jpg", "cmyk.jpg"}) {
    ASSERT_TRUE(ReadImageToDatum(ImagePath(name), 3, std::string("jpg"), &datum));
    EXPECT_TRUE(datum.encoded());
    EXPECT_EQ(datum.data(), ImageBytes(name));
  }
  ASSERT_TRUE(ReadImageToDatum(ImagePath("grey.jpg"), 3, 0, 0, false, "jpeg", &datum));
  EXPECT_EQ(datum.data(), ImageBytes("grey.jpg"));
}

TEST(ReadImageToDatumTest, EncodesAnewWhereTheFileDoesNotFit) {
  Datum datum;
  // Another type; other colours; another size.
  ASSERT_TRUE(ReadImageToDatum(ImagePath("colour.jpg"), 3, std::string("png"), &datum));
  ExpectPixels(DecodeImage(datum.data(), ImageColors::kAsStored),
               ReadPixels("colour.ppm"));
  ASSERT_TRUE(ReadImageToDatum(ImagePath("grey.jpg"), 3, std::string("jpg"), &datum));
  EXPECT_EQ(DecodeImage(datum.data(), ImageColors::kAsStored).channels(), 3);
  ASSERT_TRUE(ReadImageToDatum(ImagePath("colour.jpg"), 3, 0, 0, false, "jpg", &datum));
  EXPECT_EQ(DecodeImage(datum.data(), ImageColors::kAsStored).channels(), 1);
  ASSERT_TRUE(ReadImageToDatum(ImagePath("deep.png"), 3, std::string("png"), &datum));
  EXPECT_EQ(DecodeImage(datum.data(), ImageColors::kAsStored).channels(), 3);
  ASSERT_TRUE(ReadImageToDatum(ImagePath("colour.jpg"), 3, 12, 20, true, "jpg", &datum));
  const cv::Mat image = DecodeImage(datum.data(), ImageColors::kAsStored);
  EXPECT_EQ(image.rows, 12);
  EXPECT_EQ(image.cols, 20);
  EXPECT_EQ(datum.height(), 12);
  EXPECT_EQ(datum.width(), 20);
}

TEST(ReadImageToDatumTest, ResizesBilinearly) {
  // An image whose value is its column keeps that under a linear resize by 2, away
  // from the borders: new pixel x lies at old position (x + 0.5) / 2 - 0.5.
  TemporaryFolder folder;
  cv::Mat ramp(4, 16, CV_8UC1);
  for (int h = 0; h < ramp.rows; ++h) {
    for (int w = 0; w < ramp.cols; ++w) ramp.at<uchar>(h, w) = static_cast<uchar>(8 * w);
  }
  ASSERT_TRUE(cv::imwrite(folder / "ramp.png", ramp));
  Datum datum;
  ASSERT_TRUE(ReadImageToDatum(folder / "ramp.png", 0, 8, 32, false, &datum));
  for (int x = 1; x < 31; ++x) {
    EXPECT_EQ(static_cast<uchar>(datum.data()[x]), 4 * x - 2) << "column " << x;
  }
}

TEST(ReadImageToDatumTest, ReportsWhatCannotBeRead) {
  Datum datum;
  EXPECT_FALSE(ReadImageToDatum(ImagePath("none.jpg"), 0, &datum));
  EXPECT_FALSE(ReadImageToDatum(ImagePath("truncated.jpg"), 0, &datum));
  EXPECT_FALSE(ReadFileToDatum(ImagePath("none.jpg"), &datum));
  EXPECT_TRUE(ReadImageToCVMat(ImagePath("truncated.jpg")).empty());
  ExpectError(ErrorKind::kFile, {"none.jpg"}, [&] {
    ReadImageToDatumOrDie(ImagePath("none.jpg"), 0, 0, 0, true, "", &datum);
  });
  ExpectError(ErrorKind::kFile, {"truncated.jpg", "truncated:"}, [&] {
    ReadImageToDatumOrDie(ImagePath("truncated.jpg"), 0, 0, 0, true, "", &datum);
  });
  ExpectError(ErrorKind::kValue, {"'nonsense'"}, [&] {
    ReadImageToDatumOrDie(ImagePath("colour.jpg"), 0, 0, 0, true, "nonsense", &datum);
  });
}

TEST(DecodeDatumTest, TurnsEncodedIntoRaw) {
  Datum datum = EncodedDatum(ImageBytes("colour.jpg"), 5);
  ASSERT_TRUE(DecodeDatumNative(&datum));
  ExpectDatum(datum, ReadPixels("colour.ppm"), 5);
  EXPECT_FALSE(DecodeDatumNative(&datum)) << "it is raw now";
  ASSERT_TRUE(ReadFileToDatum(ImagePath("grey.jpg"), 6, &datum));
  ASSERT_TRUE(DecodeDatum(&datum, false));
  ExpectDatum(datum, ReadPixels("grey.pgm"), 6);
  datum = EncodedDatum(ImageBytes("truncated.jpg"), 5);
  EXPECT_FALSE(DecodeDatum(&datum, true));
  EXPECT_EQ(datum.data(), ImageBytes("truncated.jpg")) << "it is left alone";
  EXPECT_TRUE(DecodeDatumToCVMat(datum, true).empty());
  EXPECT_EQ(DecodeDatumToCVMatNative(EncodedDatum(ImageBytes("grey.png"), 0)).channels(),
            1);
}

TEST(CheckRawDatumTest, ComparesTheLengthWithTheShape) {
  Datum datum = RawDatum(1, 3, 4, 5, 0);
  CheckRawDatum(datum);
  datum.mutable_data()->pop_back();
  ExpectError(ErrorKind::kFile, {"59 bytes", "expected 60", "3 x 4 x 5"},
              [&] { CheckRawDatum(datum); });
  datum.clear_data();
  for (int i = 0; i < 61; ++i) datum.add_float_data(i);
  ExpectError(ErrorKind::kFile, {"61 values", "expected 60"},
              [&] { CheckRawDatum(datum); });
  datum = RawDatum(1, 3, 4, 5, 0);
  for (const int wrong : {0, -4, INT_MAX}) {
    datum.set_height(wrong);
    ExpectError(ErrorKind::kFile, {Str("3 x ", wrong, " x 5")},
                [&] { CheckRawDatum(datum); });
  }
}

}  // namespace
}  // namespace test
}  // namespace caffe
