#include "caffe/util/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "caffe/error.hpp"
#include "caffe/util/temporary_entry.hpp"

namespace caffe {

namespace {

namespace fs = std::filesystem;

// Some file systems cannot flush a folder or a pipe; that is no failed write.
bool Flush(int fd) {
  return ::fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(path) {
  std::error_code ignored;
  if (fs::is_symlink(path, ignored)) {
    const fs::path resolved = fs::weakly_canonical(path, ignored);
    if (!ignored) target_ = resolved.string();
  }
  struct stat old{};
  const bool exists = ::stat(target_.c_str(), &old) == 0;
  if (exists && S_ISDIR(old.st_mode)) Fail(EISDIR);
  if (exists && !S_ISREG(old.st_mode)) {
    temporary_ = target_;
    fd_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd_ < 0) Fail(errno);
    return;
  }
  // A replaced file keeps its permissions; until then the owner can remove it.
  if (exists) mode_ = static_cast<int>(old.st_mode & 07777);
  fd_ = CreateTemporaryFile(target_, exists ? (old.st_mode & 0777) | 0600 : 0666,
                            &temporary_);
  if (fd_ < 0) Fail(errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  if (temporary_ != target_) ::unlink(temporary_.c_str());
  ::close(fd_);
}

void AtomicFile::Write(const void* data, std::size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    // Linux writes at most 0x7ffff000 bytes a call.
    const ssize_t done = ::write(fd_, next, std::min<std::size_t>(size, 1u << 30));
    if (done < 0) {
      if (errno == EINTR) continue;
      Fail(errno);
    }
    next += done;
    size -= static_cast<std::size_t>(done);
    written_ += static_cast<std::uint64_t>(done);
  }
}

void AtomicFile::Commit() {
  if (mode_ >= 0) static_cast<void>(::fchmod(fd_, static_cast<mode_t>(mode_)));
  if (!Flush(fd_)) Fail(errno);
  if (temporary_ == target_) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) Fail(errno);
  ::close(fd_);
  fd_ = -1;
  const std::string folder = fs::path(target_).parent_path().string();
  const int folder_fd =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) return;  // the file is in place; only its durability is unknown
  const int code = Flush(folder_fd) ? 0 : errno;
  ::close(folder_fd);
  if (code != 0) Fail(code);
}

void AtomicFile::Fail(int code) const {
  std::string cure;
  const fs::path folder = fs::path(target_).parent_path();
  std::error_code ignored;
  if (code == ENOENT && !folder.empty() && !fs::exists(folder, ignored)) {
    cure = Str("; create the folder '", folder.string(), "' first");
  } else if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
    cure = Str(written_ > 0 ? Str(" after ", written_, " bytes") : "",
               "; make room: nothing was changed");
  } else if (code == EISDIR) {
    cure = "; give the name of a file in it";
  }
  throw FileError(Str("cannot write '", path_, "': ", std::strerror(code), cure));
}

void WriteFileAtomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.Write(bytes.data(), bytes.size());
  file.Commit();
}

void WriteFileAtomically(const std::string& path,
                         const std::function<void(AtomicFile*)>& writer) {
  AtomicFile file(path);
  writer(&file);
  file.Commit();
}

}  // namespace caffe
