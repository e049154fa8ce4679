#include "caffe/util/log_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "caffe/error.hpp"

namespace caffe {
namespace logging {

LogFile::LogFile(const std::string& path)
    : path_(path),
      fd_(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) {
  if (fd_ < 0) {
    throw FileError(Str("log file '", path, "': cannot be opened for appending (",
                        std::strerror(errno), ")"));
  }
}

LogFile::~LogFile() { ::close(fd_); }

std::string LogFile::Append(const std::string& line) {
  std::string text = torn_ ? "\n" : "";
  if (missing_ > 0) text += Str("(", missing_, " lines are missing here)\n");
  text += line + "\n";
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(fd_, text.data() + done, text.size() - done);
    if (written >= 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      break;
    }
  }
  if (done == text.size()) {
    missing_ = 0;
    torn_ = false;
    return "";
  }
  const char* reason = std::strerror(errno);
  if (done > 0) torn_ = text[done - 1] != '\n';
  if (missing_++ > 0) return "";
  return Str("log file '", path_, "' cannot be written (", reason,
             "); it misses lines from here on, the run goes on");
}

}  // namespace logging
}  // namespace caffe
