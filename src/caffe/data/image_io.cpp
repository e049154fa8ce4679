#include "caffe/util/image_io.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>
#include <vector>

#include "caffe/data/image_probe.hpp"
#include "caffe/data/jpeg.hpp"
#include "caffe/data/tiff_tags.hpp"
#include "caffe/util/input_file.hpp"

namespace caffe {
namespace {

// Tighter than OpenCV's 2^30: no photograph of today is larger, and every decoding
// thread may hold one.
constexpr std::uint64_t kMaxPixels = std::uint64_t{1} << 28;

std::uint64_t MaxPixels() {
  static const std::uint64_t limit = [] {
    const char* text = std::getenv("CV_IO_MAX_IMAGE_PIXELS");
    const std::uint64_t value = text ? std::strtoull(text, nullptr, 10) : 0;
    return value > 0 ? value : kMaxPixels;
  }();
  return limit;
}

// Decoders of these keep, on demand, the depth that the file has; the others are asked
// for 8 bits.
bool KeepsDepth(std::string_view format) {
  return format == "TIFF" || format == "PFM" || format == "HDR";
}

// The one sentence of an OpenCV exception, without its file and line.
string Reason(const cv::Exception& error) {
  string text = error.err.empty() ? error.what() : error.err;
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

string LowerCase(string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// In 8 bits, with the channels that the file has, or as colour.
cv::Mat DecodeByOpenCV(const string& bytes, std::string_view format, bool as_stored) {
  int flags = cv::IMREAD_UNCHANGED;  // which ignores the orientation, too
  if (!as_stored) {
    // Never grey: some decoders make that of their own, after a PNG's colour space.
    flags = cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION;
    if (KeepsDepth(format)) flags |= cv::IMREAD_ANYDEPTH;
  }
  // OpenCV only reads from it, but has no type to say so.
  const cv::Mat view(1, static_cast<int>(bytes.size()), CV_8UC1,
                     const_cast<char*>(bytes.data()));
  cv::Mat image;
  try {
    image = cv::imdecode(view, flags);
  } catch (const cv::Exception& error) {
    throw FileError(Str("the image cannot be decoded: ", Reason(error)));
  }
  if (image.empty()) {
    throw FileError(Str("the ", format.empty() ? "data" : format,
                        " is damaged or no image that OpenCV can read, ", bytes.size(),
                        " bytes"));
  }
  return image;
}

// The high bytes, as the decoders of other formats take them.
cv::Mat HighBytes(const cv::Mat& image) {
  cv::Mat high(image.rows, image.cols, CV_8UC(image.channels()));
  for (int y = 0; y < image.rows; ++y) {
    const auto* in = image.ptr<std::uint16_t>(y);
    uchar* out = high.ptr(y);
    for (int i = 0; i < image.cols * image.channels(); ++i) {
      out[i] = static_cast<uchar>(in[i] >> 8);
    }
  }
  return high;
}

// 0.299 red + 0.587 green + 0.114 blue, rounded.
cv::Mat GrayOfColour(const cv::Mat& image) {
  cv::Mat gray(image.rows, image.cols, CV_8UC1);
  for (int y = 0; y < image.rows; ++y) {
    const uchar* in = image.ptr(y);
    uchar* out = gray.ptr(y);
    for (int x = 0; x < image.cols; ++x) {
      const unsigned blue = in[3 * x], green = in[3 * x + 1], red = in[3 * x + 2];
      out[x] = static_cast<uchar>((299 * red + 587 * green + 114 * blue + 500) / 1000);
    }
  }
  return gray;
}

cv::Mat ColourOfGray(const cv::Mat& image) {
  cv::Mat colour;
  cv::cvtColor(image, colour, cv::COLOR_GRAY2BGR);
  return colour;
}

// Whether the name ends in the encoding; jpeg and jpg are one.
bool HasExtension(const string& filename, const string& encoding) {
  const size_t dot = filename.rfind('.');
  string extension = LowerCase(dot == string::npos ? filename : filename.substr(dot + 1));
  string wanted = LowerCase(encoding);
  if (extension == "jpeg") extension = "jpg";
  if (wanted == "jpeg") wanted = "jpg";
  return extension == wanted;
}

cv::Mat ReadImageOrDie(const string& filename, const string& bytes, int height, int width,
                       bool is_color) {
  try {
    cv::Mat image =
        DecodeImage(bytes, is_color ? ImageColors::kColor : ImageColors::kGray);
    return height > 0 && width > 0 ? ResizeImage(image, height, width) : image;
  } catch (Error& error) {
    error.Prefix(Str("'", filename, "'"));
    throw;
  }
}

// Whether the file decodes to the wanted channels of itself. Differs from BVLC, which
// stores a colour file in a grey database and the reverse; such a record then has
// another shape than its neighbours.
bool IsStoredAs(const string& bytes, bool is_color) {
  int channels = ProbeImage(bytes).channels;
  if (channels == 0) {
    try {
      channels = DecodeImage(bytes, ImageColors::kAsStored).channels();
    } catch (const FileError&) {
      return false;  // 16 bits per channel
    }
  }
  return channels == (is_color ? 3 : 1);
}

ImageColors ColorsOf(bool is_color) {
  return is_color ? ImageColors::kColor : ImageColors::kGray;
}

cv::Mat DecodeOrLog(const Datum& datum, ImageColors colors) {
  CHECK(datum.encoded()) << "the datum is not encoded";
  try {
    return DecodeImage(datum.data(), colors);
  } catch (const FileError& error) {
    LOG(ERROR) << "cannot decode a datum: " << error.what();
    return cv::Mat();
  }
}

bool DecodeInPlace(Datum* datum, ImageColors colors) {
  if (!datum->encoded()) return false;
  const cv::Mat image = DecodeOrLog(*datum, colors);
  if (image.empty()) return false;
  CVMatToDatum(image, datum);
  return true;
}

}  // namespace

cv::Mat DecodeImage(const string& bytes, ImageColors colors) {
  if (bytes.empty()) throw FileError("the image has no bytes");
  const ImageProbe probe = ProbeImage(bytes);
  if (!probe.problem.empty()) throw FileError(probe.problem);
  if (std::uint64_t{probe.width} * probe.height > MaxPixels()) {
    throw FileError(Str("the ", probe.format, " announces ", probe.width, " x ",
                        probe.height, " pixels, expected at most ", MaxPixels(),
                        " in all; CV_IO_MAX_IMAGE_PIXELS raises that"));
  }
  const std::string_view format = probe.format;
  const bool as_stored = colors == ImageColors::kAsStored;
  cv::Mat image = format == "JPEG" ? DecodeJpeg(bytes)
                  : format == "TIFF"
                      ? DecodeByOpenCV(WithoutPixelTags(bytes), format, as_stored)
                      : DecodeByOpenCV(bytes, format, as_stored);
  if (image.depth() == CV_16U && !as_stored) image = HighBytes(image);
  if (image.depth() == CV_16U) {
    throw FileError(
        "the image has more than 8 bits per channel; convert it, or set "
        "force_color or force_gray");
  }
  if (image.depth() != CV_8U) {
    throw FileError("the image has fractions for levels, expected bytes; convert it");
  }
  if (colors == ImageColors::kColor && image.channels() == 1) {
    return ColourOfGray(image);
  }
  if (colors == ImageColors::kGray && image.channels() == 3) return GrayOfColour(image);
  return image;
}

cv::Mat ResizeImage(const cv::Mat& image, int height, int width) {
  cv::Mat resized;
  try {
    cv::resize(image, resized, cv::Size(width, height));
  } catch (const cv::Exception& error) {
    throw ValueError(Str("an image of ", image.cols, " x ", image.rows,
                         " cannot be resized to ", width, " x ", height, ": ",
                         Reason(error)));
  }
  return resized;
}

string EncodeImage(const cv::Mat& image, const string& encoding) {
  std::vector<unsigned char> bytes;
  bool encoded = false;
  try {
    encoded = cv::imencode("." + encoding, image, bytes);
  } catch (const cv::Exception& error) {
    throw ValueError(Str("images cannot be encoded as '", encoding, "': ", Reason(error),
                         "; jpg and png always work"));
  }
  if (!encoded) throw ValueError(Str("images cannot be encoded as '", encoding, "'"));
  return string(bytes.begin(), bytes.end());
}

string ReadImageFile(const string& filename) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 30;  // fits a protobuf message
  return InputFile(filename).ReadAll(kLimit);
}

void CheckRawDatum(const Datum& datum) {
  const std::int64_t channels = datum.channels();
  const std::int64_t height = datum.height();
  const std::int64_t width = datum.width();
  const string shape = Str(channels, " x ", height, " x ", width);
  if (channels < 1 || height < 1 || width < 1 || channels > INT_MAX / height ||
      channels * height > INT_MAX / width) {
    throw FileError(Str("the datum has channels x height x width = ", shape,
                        ", expected positive numbers"));
  }
  const std::int64_t expected = channels * height * width;
  const bool bytes = !datum.data().empty();
  const std::int64_t got =
      bytes ? static_cast<std::int64_t>(datum.data().size()) : datum.float_data_size();
  if (got != expected) {
    throw FileError(Str("the datum has ", got, bytes ? " bytes" : " values",
                        ", expected ", expected,
                        " from its channels x height x width = ", shape));
  }
}

bool ReadFileToDatum(const string& filename, const int label, Datum* datum) {
  try {
    *datum->mutable_data() = ReadImageFile(filename);
  } catch (const FileError& error) {
    LOG(ERROR) << error.what();
    return false;
  }
  datum->set_label(label);
  datum->set_encoded(true);
  return true;
}

void ReadImageToDatumOrDie(const string& filename, const int label, const int height,
                           const int width, const bool is_color, const string& encoding,
                           Datum* datum) {
  string bytes = ReadImageFile(filename);
  const cv::Mat image = ReadImageOrDie(filename, bytes, height, width, is_color);
  if (encoding.empty()) {
    CVMatToDatum(image, datum);
  } else {
    const bool resized = height > 0 && width > 0;
    const bool as_is =
        !resized && HasExtension(filename, encoding) && IsStoredAs(bytes, is_color);
    if (!as_is) bytes = EncodeImage(image, encoding);
    datum->set_channels(image.channels());
    datum->set_height(image.rows);
    datum->set_width(image.cols);
    datum->clear_float_data();
    datum->set_data(std::move(bytes));
    datum->set_encoded(true);
  }
  datum->set_label(label);
}

bool ReadImageToDatum(const string& filename, const int label, const int height,
                      const int width, const bool is_color, const string& encoding,
                      Datum* datum) {
  try {
    ReadImageToDatumOrDie(filename, label, height, width, is_color, encoding, datum);
  } catch (const FileError& error) {
    LOG(ERROR) << error.what();
    return false;
  }
  return true;
}

bool DecodeDatumNative(Datum* datum) {
  return DecodeInPlace(datum, ImageColors::kAsStored);
}

bool DecodeDatum(Datum* datum, bool is_color) {
  return DecodeInPlace(datum, ColorsOf(is_color));
}

cv::Mat ReadImageToCVMat(const string& filename, const int height, const int width,
                         const bool is_color) {
  try {
    return ReadImageOrDie(filename, ReadImageFile(filename), height, width, is_color);
  } catch (const FileError& error) {
    LOG(ERROR) << error.what();
    return cv::Mat();
  }
}

cv::Mat ReadImageToCVMat(const string& filename, const int height, const int width) {
  return ReadImageToCVMat(filename, height, width, true);
}

cv::Mat ReadImageToCVMat(const string& filename, const bool is_color) {
  return ReadImageToCVMat(filename, 0, 0, is_color);
}

cv::Mat ReadImageToCVMat(const string& filename) {
  return ReadImageToCVMat(filename, 0, 0, true);
}

cv::Mat DecodeDatumToCVMatNative(const Datum& datum) {
  return DecodeOrLog(datum, ImageColors::kAsStored);
}

cv::Mat DecodeDatumToCVMat(const Datum& datum, bool is_color) {
  return DecodeOrLog(datum, ColorsOf(is_color));
}

void CVMatToDatum(const cv::Mat& cv_img, Datum* datum) {
  CHECK_EQ(cv_img.depth(), CV_8U) << "only images of 8-bit channels fit a datum";
  const int channels = cv_img.channels();
  const size_t plane = cv_img.total();
  datum->set_channels(channels);
  datum->set_height(cv_img.rows);
  datum->set_width(cv_img.cols);
  datum->clear_float_data();
  datum->set_encoded(false);
  string* data = datum->mutable_data();
  data->resize(plane * channels);
  char* out = data->data();
  for (int row = 0; row < cv_img.rows; ++row) {
    const uchar* pixels = cv_img.ptr<uchar>(row);
    for (int column = 0; column < cv_img.cols; ++column) {
      for (int c = 0; c < channels; ++c) {
        out[c * plane] = static_cast<char>(*pixels++);
      }
      ++out;
    }
  }
}

}  // namespace caffe
