#include "caffe/data/partial_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "caffe/error.hpp"

namespace caffe {
namespace {

[[noreturn]] void FailExists(const std::string& target) {
  throw FileError(
      Str("database '", target, "' exists already; remove it or choose another name"));
}

[[noreturn]] void Fail(const std::string& target, const std::string& reason) {
  throw FileError(Str("database '", target, "' cannot be created: ", reason));
}

void CheckFree(const std::string& target) {
  std::error_code ignored;
  const auto kind = std::filesystem::symlink_status(target, ignored).type();
  const bool is_empty_folder = kind == std::filesystem::file_type::directory &&
                               std::filesystem::is_empty(target, ignored);
  if (kind != std::filesystem::file_type::not_found && !is_empty_folder) {
    FailExists(target);
  }
}

}  // namespace

PartialFolder::PartialFolder(const std::string& target) : target_(target) {
  while (target_.size() > 1 && target_.back() == '/') target_.pop_back();
  if (target_.empty()) throw ValueError("the database has no name");
  path_ = target_ + ".partial";
  CheckFree(target_);
  Lock();
  try {
    CheckFree(target_);  // whoever had the lock may have completed it
  } catch (const FileError&) {
    ::rmdir(path_.c_str());
    ::close(lock_);
    throw;
  }
}

PartialFolder::~PartialFolder() { ::close(lock_); }

void PartialFolder::Lock() {
  // Its maker may give it its name, or remove it, before it is locked here: again, then.
  for (int tries = 0; tries < 100; ++tries) {
    if (::mkdir(path_.c_str(), 0777) != 0 && errno != EEXIST) {
      Fail(target_, std::strerror(errno));
    }
    lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ < 0) {
      if (errno == ENOENT) continue;
      Fail(target_, Str("'", path_, "': ", std::strerror(errno)));
    }
    // Where there are no locks, nobody is kept out.
    const bool busy = ::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    struct stat open{}, named{};
    if (!busy && ::fstat(lock_, &open) == 0 && ::stat(path_.c_str(), &named) == 0 &&
        open.st_dev == named.st_dev && open.st_ino == named.st_ino) {
      return;
    }
    ::close(lock_);
    if (busy) Fail(target_, "another process is building it");
  }
  Fail(target_, Str("'", path_, "' is not what it was when it was made"));
}

void PartialFolder::Commit() {
  // A folder's name can only be taken from an empty one.
  if (std::rename(path_.c_str(), target_.c_str()) != 0) {
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
