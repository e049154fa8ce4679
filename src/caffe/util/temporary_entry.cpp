#include "caffe/util/temporary_entry.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string_view>
#include <system_error>

namespace caffe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".caffe-tmp";
constexpr std::size_t kBootIdBytes = 36;
constexpr std::size_t kTagBytes = 16;
// File systems have 255 bytes for a name.
constexpr std::size_t kStemBytes = 180;

// Empty where the system does not tell it.
const std::string& BootId() {
  static const std::string id = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::getline(file, text);
    return text.size() == kBootIdBytes ? text : "";
  }();
  return id;
}

std::string Folder(const std::string& target) {
  const std::string folder = fs::path(target).parent_path().string();
  return folder.empty() ? "." : folder;
}

// "." and as much of the target's name as there is room for, in whole characters.
std::string Stem(const std::string& target) {
  std::string name = fs::path(target).filename().string();
  if (name.size() > kStemBytes) {
    std::size_t end = kStemBytes;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
    name.resize(end);
  }
  return "." + name;
}

std::string NewPath(const std::string& target) {
  std::random_device random;
  char tag[kTagBytes + 1];
  std::snprintf(tag, sizeof(tag), "%08x%08x", random(), random());
  const std::string boot = BootId().empty() ? std::string(kBootIdBytes, '0') : BootId();
  const std::string name = Stem(target) + "." + boot + "-" + tag + std::string(kSuffix);
  return (fs::path(target).parent_path() / name).string();
}

// Whether this machine has given this name since it started.
bool IsOurs(std::string_view name) {
  const std::string middle = "." + BootId() + "-";
  const std::size_t behind = middle.size() + kTagBytes + kSuffix.size();
  return !BootId().empty() && name.size() > behind && name.starts_with('.') &&
         name.ends_with(kSuffix) &&
         name.substr(name.size() - behind, middle.size()) == middle;
}

void RemoveIfFree(const fs::path& path) {
  constexpr int kFlags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  // NFS locks only what is open for writing.
  int fd = ::open(path.c_str(), O_RDWR | kFlags);
  if (fd < 0 && errno == EISDIR) fd = ::open(path.c_str(), O_RDONLY | kFlags);
  if (fd < 0) return;  // gone, or another user's
  struct stat open{}, named{};
  // It may have been removed, and the name given to another, before it was locked.
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &open) == 0 &&
      ::lstat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
      open.st_ino == named.st_ino) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  ::close(fd);
}

}  // namespace

void RemoveAbandoned(const std::string& folder) noexcept {
  try {
    std::error_code error;
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      if (IsOurs(entry->path().filename().string())) RemoveIfFree(entry->path());
    }
  } catch (...) {  // of memory only: they can stay
  }
}

int CreateTemporaryFile(const std::string& target, mode_t mode, std::string* path) {
  RemoveAbandoned(Folder(target));
  for (;;) {
    *path = NewPath(target);
    const int fd = ::open(path->c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
      if (errno == EEXIST || errno == EINTR) continue;
      return -1;
    }
    // Where there are no locks, nobody can take one to remove it either.
    struct stat named{};
    if ((::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
        ::lstat(path->c_str(), &named) == 0) {
      return fd;
    }
    // Another process took it for abandoned before it was locked.
    ::close(fd);
  }
}

}  // namespace caffe
