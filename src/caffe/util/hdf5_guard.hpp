#ifndef CAFFE_UTIL_HDF5_GUARD_HPP_
#define CAFFE_UTIL_HDF5_GUARD_HPP_

#include <cstddef>
#include <cstdint>
#include <string>

namespace caffe {

/// How a file is read in another process.
struct Hdf5Reader {
  std::string program;        ///< takes the arguments of src/hdf5_reader/main.cpp
  std::uint64_t bytes = 0;    ///< of memory
  std::uint64_t seconds = 0;  ///< of processor time
};

/// The reader that is installed beside this library, with limits for a file of `bytes`.
Hdf5Reader DefaultHdf5Reader(std::uint64_t bytes);

/// A copy in memory of an HDF5 file's groups, numbers and strings, made by a process of
/// its own. Of damaged files a few make HDF5 crash, run on or fill the memory: here that
/// is a FileError, and the process that asks only parses what HDF5 has written anew. Long
/// arrays that lie in the file as they are have only their place in the copy.
class Hdf5Copy {
 public:
  Hdf5Copy(const std::string& path, const Hdf5Reader& reader);
  ~Hdf5Copy();
  Hdf5Copy(const Hdf5Copy&) = delete;
  Hdf5Copy& operator=(const Hdf5Copy&) = delete;

  /// The bytes of an HDF5 file.
  void* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_HDF5_GUARD_HPP_
