#ifndef CAFFE_UTIL_IMAGE_IO_HPP_
#define CAFFE_UTIL_IMAGE_IO_HPP_

#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// Images are cv::Mat of 8-bit channels in (row, column, channel) order, blue-green-red.
// The same for every format: orientation tags are ignored, as Caffe's training data was
// made; colours are those stored, whatever alpha, profile or colour space stands beside
// them; 16 bits become the high byte; grey of colour is
// 0.299 red + 0.587 green + 0.114 blue, rounded. Differs from BVLC, which leaves grey to
// the decoders: the Y plane of a JPEG, a PNG's weights after its colour space.

enum class ImageColors { kAsStored, kColor, kGray };

/// Decodes the bytes of an image file of any format OpenCV reads. Throws FileError
/// with what is wrong with them: not an image, lacking image data, or announcing more
/// than 2^28 pixels (CV_IO_MAX_IMAGE_PIXELS in the environment, if set). kAsStored keeps
/// 1, 3 or 4 channels; CMYK becomes colour.
cv::Mat DecodeImage(const string& bytes, ImageColors colors);

/// Bilinear, as in Caffe.
cv::Mat ResizeImage(const cv::Mat& image, int height, int width);

/// The bytes of a file of type `encoding` ("jpg", "png" …) with the image. Throws
/// ValueError where OpenCV writes no such files.
string EncodeImage(const cv::Mat& image, const string& encoding);

/// The bytes of a file; throws FileError.
string ReadImageFile(const string& filename);

/// Throws FileError unless a raw datum holds channels * height * width values.
void CheckRawDatum(const Datum& datum);

// The functions below are Caffe's. They log what is wrong and return false or an
// empty image.

/// Stores the bytes of a file as an encoded datum.
bool ReadFileToDatum(const string& filename, const int label, Datum* datum);
inline bool ReadFileToDatum(const string& filename, Datum* datum) {
  return ReadFileToDatum(filename, -1, datum);
}

/// Reads an image, resized if height and width are positive. With `encoding` ("jpg",
/// "png" …) the datum is encoded; a file that has that extension and needs neither
/// resizing nor other colours is then stored byte by byte.
bool ReadImageToDatum(const string& filename, const int label, const int height,
                      const int width, const bool is_color, const string& encoding,
                      Datum* datum);
inline bool ReadImageToDatum(const string& filename, const int label, const int height,
                             const int width, const bool is_color, Datum* datum) {
  return ReadImageToDatum(filename, label, height, width, is_color, "", datum);
}
inline bool ReadImageToDatum(const string& filename, const int label, const int height,
                             const int width, Datum* datum) {
  return ReadImageToDatum(filename, label, height, width, true, datum);
}
inline bool ReadImageToDatum(const string& filename, const int label, const bool is_color,
                             Datum* datum) {
  return ReadImageToDatum(filename, label, 0, 0, is_color, datum);
}
inline bool ReadImageToDatum(const string& filename, const int label, Datum* datum) {
  return ReadImageToDatum(filename, label, 0, 0, true, datum);
}
inline bool ReadImageToDatum(const string& filename, const int label,
                             const string& encoding, Datum* datum) {
  return ReadImageToDatum(filename, label, 0, 0, true, encoding, datum);
}

/// ReadImageToDatum that throws FileError with the reason.
void ReadImageToDatumOrDie(const string& filename, const int label, const int height,
                           const int width, const bool is_color, const string& encoding,
                           Datum* datum);

/// Turns an encoded datum into a raw one; false if it was raw.
bool DecodeDatumNative(Datum* datum);
bool DecodeDatum(Datum* datum, bool is_color);

cv::Mat ReadImageToCVMat(const string& filename, const int height, const int width,
                         const bool is_color);
cv::Mat ReadImageToCVMat(const string& filename, const int height, const int width);
cv::Mat ReadImageToCVMat(const string& filename, const bool is_color);
cv::Mat ReadImageToCVMat(const string& filename);

cv::Mat DecodeDatumToCVMatNative(const Datum& datum);
cv::Mat DecodeDatumToCVMat(const Datum& datum, bool is_color);

/// Stores an image as a raw datum; the label stays.
void CVMatToDatum(const cv::Mat& cv_img, Datum* datum);

}  // namespace caffe

#endif  // CAFFE_UTIL_IMAGE_IO_HPP_
