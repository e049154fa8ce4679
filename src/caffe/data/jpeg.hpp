#ifndef CAFFE_DATA_JPEG_HPP_
#define CAFFE_DATA_JPEG_HPP_

#include <opencv2/core.hpp>
#include <string>

namespace caffe {

/// Decodes a JPEG to one channel if it has one, else to blue-green-red.
///
/// Throws FileError if its decoder says that image data is missing or unreadable.
/// OpenCV uses the same decoder but tells nobody: what is missing becomes grey there.
/// Bytes that do not belong to the image are passed over, as in ImageNet's files.
///
/// CMYK becomes red = cyan * black / 255 and so on of the inverted inks that Adobe's
/// marker announces; without it the inks are inverted first. Profiles and orientation
/// are ignored.
cv::Mat DecodeJpeg(const std::string& bytes);

}  // namespace caffe

#endif  // CAFFE_DATA_JPEG_HPP_
