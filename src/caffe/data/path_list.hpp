#ifndef CAFFE_DATA_PATH_LIST_HPP_
#define CAFFE_DATA_PATH_LIST_HPP_

#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace caffe {

/// Reads a list of one path per line; blanks around a path and empty lines are passed
/// over. Throws FileError if the list cannot be read or is empty.
vector<string> ReadPathList(const string& filename);

}  // namespace caffe

#endif  // CAFFE_DATA_PATH_LIST_HPP_
