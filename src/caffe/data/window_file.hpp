#ifndef CAFFE_DATA_WINDOW_FILE_HPP_
#define CAFFE_DATA_WINDOW_FILE_HPP_

#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {

struct ListedWindow {
  int label;
  float overlap;
  int x1, y1, x2, y2;  ///< corners, both inside of the window
};

struct WindowsOfImage {
  string path;
  int channels, height, width;
  std::vector<ListedWindow> windows;
};

/// Reads a file of images and windows, as WindowData describes it. Throws FileError if it
/// cannot be read or has no image, ValueError with the line's number for what is no
/// window of its image.
std::vector<WindowsOfImage> ReadWindowFile(const string& filename);

}  // namespace caffe

#endif  // CAFFE_DATA_WINDOW_FILE_HPP_
