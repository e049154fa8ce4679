#ifndef CAFFE_UTIL_LOG_FILE_HPP_
#define CAFFE_UTIL_LOG_FILE_HPP_

#include <cstdint>
#include <string>

namespace caffe {
namespace logging {

/// A file to which lines are appended as long as there is room, and then again when
/// there is room again.
class LogFile {
 public:
  /// Throws FileError if it cannot be opened.
  explicit LogFile(const std::string& path);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// Writes a line, given without its end. The first that cannot be written since one
  /// was gives a sentence about that, all others "".
  std::string Append(const std::string& line);

 private:
  std::string path_;
  int fd_;
  std::uint64_t missing_ = 0;  // lines since the last one that was written
  bool torn_ = false;          // whether the file ends within a line
};

}  // namespace logging
}  // namespace caffe

#endif  // CAFFE_UTIL_LOG_FILE_HPP_
