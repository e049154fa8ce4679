#ifndef CAFFE_DATA_IMAGE_LIST_HPP_
#define CAFFE_DATA_IMAGE_LIST_HPP_

#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {

struct ListedImage {
  string path;
  int label = 0;
  int line = 0;  ///< in the list, from 1
};

/// Reads a list of one "path label" per line. The label is what follows the last
/// space or tab, so paths may contain spaces; empty lines are passed over. Throws
/// FileError if the list cannot be read or is empty, ValueError with the line's number
/// if a label is no whole number.
vector<ListedImage> ReadImageList(const string& filename);

}  // namespace caffe

#endif  // CAFFE_DATA_IMAGE_LIST_HPP_
