#include "caffe/data/partial_folder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "caffe/error.hpp"
#include "caffe/util/temporary_entry.hpp"

namespace caffe {
namespace {

[[noreturn]] void FailExists(const std::string& target) {
  throw FileError(
      Str("database '", target, "' exists already; remove it or choose another name"));
}

[[noreturn]] void Fail(const std::string& target, const std::string& reason) {
  throw FileError(Str("database '", target, "' cannot be created: ", reason));
}

}  // namespace

PartialFolder::PartialFolder(const std::string& target) : target_(target) {
  while (target_.size() > 1 && target_.back() == '/') target_.pop_back();
  if (target_.empty()) throw ValueError("the database has no name");
  std::error_code ignored;
  const auto kind = std::filesystem::symlink_status(target_, ignored).type();
  const bool is_empty_folder = kind == std::filesystem::file_type::directory &&
                               std::filesystem::is_empty(target_, ignored);
  if (kind != std::filesystem::file_type::not_found && !is_empty_folder) {
    FailExists(target_);
  }
  if (IsBeingWritten(target_)) Fail(target_, "another process is building it");
  lock_ = CreateTemporaryFolder(target_, &partial_);
  if (lock_ < 0) Fail(target_, std::strerror(errno));
}

PartialFolder::~PartialFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(partial_, ignored);
  ::close(lock_);
}

void PartialFolder::Commit() {
  // A folder's name can only be taken from an empty one.
  if (std::rename(path().c_str(), target_.c_str()) != 0) {
    const int code = errno;
    if (code == EEXIST || code == ENOTEMPTY || code == ENOTDIR) FailExists(target_);
    Fail(target_, std::strerror(code));
  }
  // The name is on the disk when its folder is.
  std::string parent = std::filesystem::path(target_).parent_path().string();
  const int folder =
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

}  // namespace caffe
