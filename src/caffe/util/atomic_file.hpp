#ifndef CAFFE_UTIL_ATOMIC_FILE_HPP_
#define CAFFE_UTIL_ATOMIC_FILE_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace caffe {

/// A file that appears under its name complete or not at all.
///
/// The bytes go to a temporary file in the same folder. Commit() flushes it to the
/// disk, renames it over `path` and flushes the folder, so that after a crash or a
/// power cut `path` holds the old contents or the new, never a part. Without a
/// successful Commit() the destructor removes the temporary file, and where the process
/// is killed, the next AtomicFile in the folder does. All failures throw FileError with
/// the system's reason, and leave an older file at `path` as it was.
///
/// A symbolic link is followed: its target is replaced, not the link. What is no
/// regular file (/dev/stdout, a pipe) is written directly.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// The path as given, for messages.
  const std::string& path() const { return path_; }
  /// For writers that want a descriptor.
  int fd() const { return fd_; }

  void Write(const void* data, std::size_t size);
  void Commit();

  /// Throws the FileError for system error `code`.
  [[noreturn]] void Fail(int code) const;

 private:
  std::string path_;
  std::string target_;     // with links followed
  std::string temporary_;  // equals target_ when that is written directly
  int fd_ = -1;
  int mode_ = -1;  // of the file that is replaced
  std::uint64_t written_ = 0;
};

/// Writes all of `bytes` to `path` atomically.
void WriteFileAtomically(const std::string& path, std::string_view bytes);

/// Lets `writer` fill the file, then commits it; an exception leaves `path` alone.
void WriteFileAtomically(const std::string& path,
                         const std::function<void(AtomicFile*)>& writer);

}  // namespace caffe

#endif  // CAFFE_UTIL_ATOMIC_FILE_HPP_
