#ifndef CAFFE_UTIL_SHARED_OBJECT_HPP_
#define CAFFE_UTIL_SHARED_OBJECT_HPP_

#include <string>
#include <vector>

namespace caffe {

/// What an ELF shared object says of itself, read without running any of it.
struct SharedObject {
  std::string soname;               ///< its own name, empty if it has none
  std::vector<std::string> needed;  ///< the libraries it was linked with
};

/// Throws FileError when the file is missing or is not a shared object for this
/// kind of machine. A file is trusted with nothing: every offset is checked.
SharedObject ReadSharedObject(const std::string& path);

}  // namespace caffe

#endif  // CAFFE_UTIL_SHARED_OBJECT_HPP_
