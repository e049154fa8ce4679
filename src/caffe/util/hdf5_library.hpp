#ifndef CAFFE_UTIL_HDF5_LIBRARY_HPP_
#define CAFFE_UTIL_HDF5_LIBRARY_HPP_

#include <cstddef>
#include <string>

#include <hdf5.h>

// What the library and the program that reads files for it both need of HDF5.

namespace caffe {

/// Names and paths; bounds what a damaged file can make us allocate.
constexpr std::size_t kMaxHdf5String = 1 << 20;

/// Whether a dataset of `bytes` can have been written into `stored` bytes. No ratio is
/// better than deflate's best; small datasets may be all fill value.
inline bool CanBeStored(hsize_t bytes, hsize_t stored) {
  constexpr hsize_t kMaxCompression = 1032;
  constexpr hsize_t kSmallBytes = 64 << 20;
  return bytes <= kSmallBytes || bytes / kMaxCompression <= stored;
}

inline herr_t TakeHdf5Description(unsigned, const H5E_error2_t* error, void* text) {
  if (error->desc != nullptr && *error->desc != '\0') {
    *static_cast<std::string*>(text) = error->desc;
  }
  return 0;
}

/// The innermost entry of HDF5's error stack, where the cause is. For system errors it
/// lists all it knows; the system's message is the part that people can use.
inline std::string Hdf5Reason() {
  std::string text = "unknown reason";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, TakeHdf5Description, &text);
  const std::string mark = "error message = '";
  const std::size_t start = text.find(mark);
  if (start == std::string::npos) return text;
  const std::size_t first = start + mark.size();
  return text.substr(first, text.find('\'', first) - first);
}

}  // namespace caffe

#endif  // CAFFE_UTIL_HDF5_LIBRARY_HPP_
