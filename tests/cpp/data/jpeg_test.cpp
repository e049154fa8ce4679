#include "caffe/data/jpeg.hpp"

#include "data/data_test.hpp"

namespace caffe {
namespace test {
namespace {

// Position of the image data.
size_t DataOf(const std::string& jpeg) {
  const size_t header = jpeg.find("\xff\xda");
  return header + 2 + static_cast<unsigned char>(jpeg[header + 3]);
}

TEST(DecodeJpegTest, KeepsOneChannelAndGivesBlueFirstOtherwise) {
  for (const auto& [jpeg, pnm] :
       {std::pair("colour.jpg", "colour.ppm"), std::pair("rotated.jpg", "colour.ppm"),
        std::pair("grey.jpg", "grey.pgm")}) {
    const cv::Mat image = DecodeJpeg(ImageBytes(jpeg));
    const Pixels want = ReadPixels(pnm);
    ASSERT_EQ(image.channels(), want.channels);
    ASSERT_EQ(image.rows, want.height);
    ASSERT_EQ(image.cols, want.width);
    int wrong = 0;
    for (int h = 0; h < want.height; ++h) {
      for (int w = 0; w < want.width; ++w) {
        for (int c = 0; c < want.channels; ++c) {
          wrong += image.ptr(h)[w * want.channels + c] != want.At(c, h, w);
        }
      }
    }
    EXPECT_EQ(wrong, 0) << jpeg;
  }
}

TEST(DecodeJpegTest, SaysWhatTheDecoderSays) {
  const std::string whole = ImageBytes("colour.jpg");
  const size_t data = DataOf(whole);
  for (size_t kept = 0; kept + 20 < whole.size() - data; kept += 11) {
    ExpectError(ErrorKind::kFile, {"JPEG is damaged", "premature end"},
                [&] { DecodeJpeg(whole.substr(0, data + kept) + "\xff\xd9"); });
  }
  // 12 bits, which this decoder does not have, and a frame of no known kind.
  std::string deep = whole;
  deep[whole.find("\xff\xc0") + 4] = 12;
  ExpectError(ErrorKind::kFile, {"JPEG", "precision 12"}, [&] { DecodeJpeg(deep); });
  ExpectError(ErrorKind::kFile, {"JPEG"}, [] { DecodeJpeg("no JPEG"); });
  ExpectError(ErrorKind::kFile, {"JPEG"}, [] { DecodeJpeg("\xff\xd8\xff\xd9"); });
}

}  // namespace
}  // namespace test
}  // namespace caffe
