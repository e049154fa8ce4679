#ifndef CAFFE_DATA_IMAGE_LIST_HPP_
#define CAFFE_DATA_IMAGE_LIST_HPP_

#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {

struct ListedImage {
  string path;
  int label = 0;
  int line = 0;       ///< in the list, from 1
  string label_path;  ///< of a list of pairs
};

/// What follows a path.
enum class ListColumn { kNothing, kLabel, kPath };

/// Reads a list of one "path label" per line, or one "path path" or "path". The second
/// column is what follows the last space or tab, so the first paths may contain spaces;
/// empty lines are passed over. Throws FileError if the list cannot be read or is empty,
/// ValueError with the line's number if a label is no whole number.
vector<ListedImage> ReadImageList(const string& filename,
                                  ListColumn second = ListColumn::kLabel);

}  // namespace caffe

#endif  // CAFFE_DATA_IMAGE_LIST_HPP_
