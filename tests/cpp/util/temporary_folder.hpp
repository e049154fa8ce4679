#ifndef CAFFE_TESTS_UTIL_TEMPORARY_FOLDER_HPP_
#define CAFFE_TESTS_UTIL_TEMPORARY_FOLDER_HPP_

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "caffe/util/io.hpp"

namespace caffe {
namespace test {

/// A folder that lives as long as the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name;
    MakeTempDir(&name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  int NumFiles() const {
    return static_cast<int>(
        std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// The message of the exception of type E that `action` throws; "" if it throws none.
template <typename E, typename Action>
std::string MessageOf(Action action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

}  // namespace test
}  // namespace caffe

#endif  // CAFFE_TESTS_UTIL_TEMPORARY_FOLDER_HPP_
